package drydock.engine;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.Optional;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import io.micronaut.context.ApplicationContext;
import io.micronaut.runtime.server.EmbeddedServer;

/** Kestra's engine in one JVM, headless: flows from a folder, if one is named, executions and schedules, and the REST calls of `api`. */
public final class Engine {

    private static final Logger LOG = LoggerFactory.getLogger(Engine.class);
    private static final int FAILED = 1;

    private Engine() {
    }

    public static void main(String[] args) {
        try {
            run();
        } catch (FlowsRefused error) {
            LOG.error(error.getMessage());
            System.exit(FAILED);
        } catch (Exception error) {
            LOG.error("The engine cannot run", error);
            System.exit(FAILED); // threads of Kestra's would keep the process alive
        }
    }

    private static void run() throws Exception {
        ApplicationContext context = ApplicationContext.builder(Engine.class).banner(false).start();
        Runtime.getRuntime().addShutdownHook(new Thread(context::close, "shutdown"));
        Services services = context.getBean(Services.class);
        services.start(context.getRequiredProperty("engine.worker-threads", Integer.class));
        Optional<String> flows = context.getProperty("engine.flows", String.class);
        if (flows.isPresent()) {
            try {
                context.getBean(FlowFolder.class).load(Path.of(flows.get()));
            } catch (FlowsRefused error) {
                context.close(); // which has much to say, and the reason shall be the last of the log
                throw error;
            }
        }
        if (context.getRequiredProperty("engine.schedules", Boolean.class)) {
            services.startScheduler();
        } else {
            LOG.info("No schedule fires: they are switched off");
        }
        EmbeddedServer server = context.getBean(EmbeddedServer.class).start();
        if (context.getRequiredProperty("engine.attached", Boolean.class)) {
            Thread.ofPlatform().daemon().name("attached").start(Engine::endWithInput);
        }
        LOG.info("Up at {}", server.getURL());
        Thread.currentThread().join();
    }

    /** Whoever started this one holds the other end of its standard input, and cannot leave it behind, not even killed. */
    private static void endWithInput() {
        try {
            System.in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException error) {
            LOG.warn("Standard input cannot be read", error);
        }
        LOG.info("Ending: nobody holds the standard input any more");
        System.exit(0);
    }
}
