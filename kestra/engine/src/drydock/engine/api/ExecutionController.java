package drydock.engine.api;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

import org.reactivestreams.Publisher;

import io.kestra.core.async.AsyncOperationsConfiguration;
import io.kestra.core.executor.command.Create;
import io.kestra.core.executor.command.ExecutionCommand;
import io.kestra.core.models.Label;
import io.kestra.core.models.executions.Execution;
import io.kestra.core.models.executions.ExecutionId;
import io.kestra.core.models.executions.ExecutionKilled;
import io.kestra.core.models.executions.ExecutionKilledExecution;
import io.kestra.core.models.flows.Flow;
import io.kestra.core.queues.BroadcastQueueInterface;
import io.kestra.core.queues.DispatchQueueInterface;
import io.kestra.core.queues.QueueException;
import io.kestra.core.repositories.ExecutionRepositoryInterface;
import io.kestra.core.runners.FlowInputOutput;
import io.kestra.core.services.AsyncOperationWaiter;
import io.kestra.core.services.ExecutionService;
import io.kestra.core.services.FlowService;
import io.kestra.core.tenant.TenantService;
import io.kestra.core.utils.IdUtils;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.annotation.Body;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Delete;
import io.micronaut.http.annotation.Error;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.QueryValue;
import io.micronaut.http.annotation.RequestBean;
import io.micronaut.http.multipart.CompletedPart;
import io.micronaut.http.server.multipart.MultipartBody;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;
import reactor.core.publisher.Flux;

/** Kestra's `/executions`. */
@Controller("/api/v1/main/executions")
@ExecuteOn(TaskExecutors.BLOCKING)
final class ExecutionController {

    private static final String TENANT = TenantService.MAIN_TENANT;
    private static final Duration POLL = Duration.ofMillis(100);

    private final FlowService flows;
    private final FlowInputOutput inputsReader;
    private final ExecutionService service;
    private final ExecutionRepositoryInterface repository;
    private final DispatchQueueInterface<ExecutionCommand> commands;
    private final BroadcastQueueInterface<ExecutionKilled> kills;
    private final AsyncOperationWaiter operations;
    private final AsyncOperationsConfiguration operationsConfiguration;

    ExecutionController(
        FlowService flows,
        FlowInputOutput inputsReader,
        ExecutionService service,
        ExecutionRepositoryInterface repository,
        DispatchQueueInterface<ExecutionCommand> commands,
        BroadcastQueueInterface<ExecutionKilled> kills,
        AsyncOperationWaiter operations,
        AsyncOperationsConfiguration operationsConfiguration
    ) {
        this.flows = flows;
        this.inputsReader = inputsReader;
        this.service = service;
        this.repository = repository;
        this.commands = commands;
        this.kills = kills;
        this.operations = operations;
        this.operationsConfiguration = operationsConfiguration;
    }

    /** The form's parts are the flow's inputs; `labels` are `name:value`. With `wait` the answer is the ended execution. */
    @Post(uri = "/{namespace}/{id}", consumes = MediaType.MULTIPART_FORM_DATA)
    HttpResponse<String> create(
        String namespace,
        String id,
        @Nullable @Body MultipartBody inputs,
        @Nullable @QueryValue List<String> labels,
        @QueryValue(defaultValue = "false") boolean wait
    ) throws TimeoutException, InterruptedException {
        Flow flow = flows.getFlowIfExecutableOrThrow(TENANT, namespace, id, Optional.empty());
        String executionId = IdUtils.create();
        Publisher<CompletedPart> parts = inputs == null ? Flux.empty() : inputs;
        Map<String, Object> read = inputsReader.readExecutionInputs(flow, executionId, parts).block();
        Create command = Create.of(new ExecutionId(TENANT, namespace, id, executionId, flow.getRevision()))
            .withLabels(parsed(labels))
            .withInputs(read);
        await(executionId, operationId -> emit(command.withOperationId(operationId)));
        return Answers.json(wait ? ended(flow, executionId) : found(executionId));
    }

    @Get("/search")
    HttpResponse<String> search(@RequestBean Search search) {
        return Answers.page(repository.find(search.pageable(repository.sortMapping()), TENANT, search.filters()));
    }

    @Get("/{executionId}")
    HttpResponse<String> get(String executionId) {
        return Answers.json(found(executionId));
    }

    /** Asks for the end of an execution and of what it started; that it has ended is told by its state. */
    @Delete("/{executionId}/actions/kill")
    HttpResponse<String> kill(String executionId) throws TimeoutException {
        Execution execution = found(executionId);
        if (execution.getState().isTerminated()) {
            return Answers.json(execution);
        }
        await(executionId, operationId -> emitKill(executionId, operationId));
        return Answers.json(found(executionId));
    }

    @Error
    HttpResponse<String> refused(Throwable error) {
        return Answers.refusal(error);
    }

    private Execution found(String executionId) {
        return found(repository, executionId);
    }

    /** Raises NoSuchElementException. */
    static Execution found(ExecutionRepositoryInterface repository, String executionId) {
        return repository.findById(TENANT, executionId)
            .orElseThrow(() -> new NoSuchElementException("There is no execution " + executionId + "."));
    }

    private Execution ended(Flow flow, String executionId) throws InterruptedException {
        while (true) {
            Execution execution = found(executionId);
            if (service.isTerminated(flow, execution)) {
                return execution;
            }
            Thread.sleep(POLL);
        }
    }

    private void await(String executionId, Consumer<String> submit) throws TimeoutException {
        operations.submitAndWait(executionId, submit, operationsConfiguration.waitTimeout());
    }

    private void emit(ExecutionCommand command) {
        try {
            commands.emit(command);
        } catch (QueueException error) {
            throw new IllegalStateException(error);
        }
    }

    private void emitKill(String executionId, String operationId) {
        try {
            kills.emit(
                ExecutionKilledExecution.builder()
                    .tenantId(TENANT)
                    .executionId(executionId)
                    .state(ExecutionKilled.State.REQUESTED)
                    .isOnKillCascade(true)
                    .operationId(operationId)
                    .build()
            );
        } catch (QueueException error) {
            throw new IllegalStateException(error);
        }
    }

    private static List<Label> parsed(@Nullable List<String> labels) {
        List<Label> found = new ArrayList<>();
        for (String label : labels == null ? List.<String>of() : labels) {
            int colon = label.indexOf(':');
            if (colon < 1) {
                throw new IllegalArgumentException("A label is `" + label + "`; expected name:value.");
            }
            String name = label.substring(0, colon);
            if (name.startsWith(Label.SYSTEM_PREFIX) && !name.equals(Label.CORRELATION_ID)) {
                throw new IllegalArgumentException("The label `" + name + "` is Kestra's own: choose a name without " + Label.SYSTEM_PREFIX);
            }
            found.add(new Label(name, label.substring(colon + 1)));
        }
        return found;
    }
}
