package io.kestra.plugin.scripts.shell;

import java.util.List;

import io.kestra.core.models.annotations.Plugin;
import io.kestra.core.models.property.Property;
import io.kestra.core.models.tasks.RunnableTask;
import io.kestra.core.runners.RunContext;
import io.kestra.plugin.core.runner.Process;
import io.kestra.plugin.scripts.exec.AbstractExecScript;
import io.kestra.plugin.scripts.exec.scripts.models.ScriptOutput;

import io.swagger.v3.oas.annotations.media.Schema;
import jakarta.validation.constraints.NotNull;

/**
 * Runs shell commands, under the type name of Kestra's published plugin, whose jar is not to be had without its image.
 *
 * <p>All that it does is the published base class's, {@link AbstractExecScript}. It takes what that class takes, and
 * refuses any task runner but Process: there are no containers here.
 */
@Schema(title = "Execute one or more shell commands.")
@Plugin
public class Commands extends AbstractExecScript implements RunnableTask<ScriptOutput> {

    @Schema(title = "The commands to run, one after the other; the first that fails ends the task.")
    @NotNull
    private Property<List<String>> commands;

    private Property<String> containerImage;

    /** Jackson makes it and fills it in. */
    public Commands() {
    }

    public Property<List<String>> getCommands() {
        return commands;
    }

    @Override
    public Property<String> getContainerImage() {
        return containerImage;
    }

    @Override
    public ScriptOutput run(RunContext runContext) throws Exception {
        if (!(getTaskRunner() instanceof Process)) {
            throw new IllegalArgumentException(
                "This engine has no containers; expected `taskRunner: {type: " + Process.class.getName() + "}`, found "
                    + getTaskRunner().getType() + "."
            );
        }
        return commands(runContext)
            .withInterpreter(getInterpreter())
            .withBeforeCommands(getBeforeCommands())
            .withBeforeCommandsWithOptions(true)
            .withCommands(commands)
            .run();
    }
}
