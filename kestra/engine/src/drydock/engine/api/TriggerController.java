package drydock.engine.api;

import io.kestra.core.repositories.TriggerRepositoryInterface;
import io.kestra.core.tenant.TenantService;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.RequestBean;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;

/** Kestra's `/triggers`: schedules with their next runs. */
@Controller("/api/v1/main/triggers")
@ExecuteOn(TaskExecutors.BLOCKING)
final class TriggerController {

    private final TriggerRepositoryInterface triggers;

    TriggerController(TriggerRepositoryInterface triggers) {
        this.triggers = triggers;
    }

    @Get("/search")
    HttpResponse<String> search(@RequestBean Search search) {
        return Answers.page(triggers.find(search.pageable(triggers.sortMapping()), TenantService.MAIN_TENANT, search.filters()));
    }
}
