package drydock.engine.api;

import io.kestra.core.exceptions.InternalException;
import io.kestra.core.repositories.ExecutionRepositoryInterface;
import io.kestra.core.services.ExecutionOutputService;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;

/** Kestra's `/outputs`: an execution does not carry them since Kestra 2. */
@Controller("/api/v1/main/outputs")
@ExecuteOn(TaskExecutors.BLOCKING)
final class OutputController {

    private final ExecutionRepositoryInterface executions;
    private final ExecutionOutputService outputs;

    OutputController(ExecutionRepositoryInterface executions, ExecutionOutputService outputs) {
        this.executions = executions;
        this.outputs = outputs;
    }

    @Get("/executions/{executionId}")
    HttpResponse<String> ofExecution(String executionId) throws InternalException {
        return Answers.json(outputs.getOutputs(ExecutionController.found(executions, executionId)));
    }
}
