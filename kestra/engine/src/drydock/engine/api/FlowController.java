package drydock.engine.api;

import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;

import io.kestra.core.exceptions.FlowProcessingException;
import io.kestra.core.models.flows.FlowSource;
import io.kestra.core.models.flows.FlowWithSource;
import io.kestra.core.models.flows.GenericFlow;
import io.kestra.core.queues.QueueException;
import io.kestra.core.repositories.FlowRepositoryInterface;
import io.kestra.core.services.FlowService;
import io.kestra.core.tenant.TenantService;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.annotation.Body;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Delete;
import io.micronaut.http.annotation.Error;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Put;
import io.micronaut.http.annotation.QueryValue;
import io.micronaut.http.annotation.RequestBean;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;

/** Kestra's `/flows`. */
@Controller("/api/v1/main/flows")
@ExecuteOn(TaskExecutors.BLOCKING)
final class FlowController {

    private static final String TENANT = TenantService.MAIN_TENANT;

    private final FlowService service;
    private final FlowRepositoryInterface repository;

    FlowController(FlowService service, FlowRepositoryInterface repository) {
        this.service = service;
        this.repository = repository;
    }

    @Get("/search")
    HttpResponse<String> search(@RequestBean Search search) {
        return Answers.page(repository.find(search.pageable(), TENANT, search.filters()));
    }

    @Get("/{namespace}/{id}")
    HttpResponse<String> get(String namespace, String id, @QueryValue(defaultValue = "false") boolean source) {
        return Answers.json(
            source
                ? repository.findByIdWithSource(TENANT, namespace, id).orElseThrow(() -> missing(namespace, id))
                : repository.findById(TENANT, namespace, id, Optional.empty()).orElseThrow(() -> missing(namespace, id))
        );
    }

    @Post(consumes = MediaType.APPLICATION_YAML)
    HttpResponse<String> create(@Body String source) throws FlowProcessingException, QueueException {
        return Answers.json(service.create(GenericFlow.fromYaml(TENANT, source)));
    }

    @Put(uri = "/{namespace}/{id}", consumes = MediaType.APPLICATION_YAML)
    HttpResponse<String> update(String namespace, String id, @Body String source) throws FlowProcessingException, QueueException {
        FlowWithSource present = repository.findByIdWithSource(TENANT, namespace, id).orElseThrow(() -> missing(namespace, id));
        return Answers.json(service.update(GenericFlow.fromYaml(TENANT, source), present));
    }

    /** Its executions stay; its schedules end. */
    @Delete("/{namespace}/{id}")
    HttpResponse<Void> delete(String namespace, String id) {
        service.delete(repository.findByIdWithSource(TENANT, namespace, id).orElseThrow(() -> missing(namespace, id)));
        return HttpResponse.noContent();
    }

    @Post(uri = "/validate", consumes = MediaType.APPLICATION_YAML)
    HttpResponse<String> validate(@Body String source) {
        return Answers.json(service.validate(TENANT, List.of(new FlowSource(null, source))));
    }

    @Error
    HttpResponse<String> refused(Throwable error) {
        return Answers.refusal(error);
    }

    static NoSuchElementException missing(String namespace, String id) {
        return new NoSuchElementException("There is no flow " + namespace + "." + id + ".");
    }
}
