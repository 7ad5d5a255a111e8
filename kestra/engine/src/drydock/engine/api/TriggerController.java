package drydock.engine.api;

import java.util.List;

import io.kestra.core.repositories.TriggerRepositoryInterface;
import io.kestra.core.tenant.TenantService;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.data.model.Pageable;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.QueryValue;
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
    HttpResponse<String> search(
        HttpRequest<?> request,
        @QueryValue(defaultValue = "1") int page,
        @QueryValue(defaultValue = "10") int size,
        @Nullable @QueryValue List<String> sort
    ) {
        Pageable wanted = Pages.of(page, size, sort, triggers.sortMapping());
        return Answers.page(triggers.find(wanted, TenantService.MAIN_TENANT, Filters.of(request)));
    }
}
