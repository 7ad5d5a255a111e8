package drydock.engine.api;

import java.util.Map;

import org.slf4j.event.Level;

import io.kestra.core.repositories.LogDataStoreInterface;
import io.kestra.core.tenant.TenantService;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.QueryValue;
import io.micronaut.http.annotation.RequestBean;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;

/** Kestra's `/logs`. */
@Controller("/api/v1/main/logs")
@ExecuteOn(TaskExecutors.BLOCKING)
final class LogController {

    private static final String TENANT = TenantService.MAIN_TENANT;

    private static final Map<String, String> SORTED_BY = Map.of("timestamp", "timestamp"); // the only order a log has

    private final LogDataStoreInterface logs;

    LogController(LogDataStoreInterface logs) {
        this.logs = logs;
    }

    @Get("/search")
    HttpResponse<String> search(@RequestBean Search search) {
        return Answers.page(logs.find(search.pageable(SORTED_BY::get), TENANT, search.filters()));
    }

    @Get("/{executionId}")
    HttpResponse<String> list(
        String executionId,
        @Nullable @QueryValue String taskId,
        @QueryValue(defaultValue = "INFO") Level minLevel
    ) {
        return Answers.json(
            taskId == null
                ? logs.findByExecutionId(TENANT, executionId, minLevel)
                : logs.findByExecutionIdAndTaskId(TENANT, executionId, taskId, minLevel)
        );
    }
}
