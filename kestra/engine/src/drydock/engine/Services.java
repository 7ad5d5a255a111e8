package drydock.engine;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

import io.kestra.core.runners.Executor;
import io.kestra.core.runners.Indexer;
import io.kestra.core.runners.Scheduler;
import io.kestra.core.runners.Worker;
import io.kestra.core.server.Service;
import io.kestra.core.server.Service.ServiceState;
import io.kestra.core.worker.Controller;
import jakarta.inject.Singleton;

/** The parts of a Kestra server, all in this JVM, as Kestra's own `server standalone` starts them. */
@Singleton
final class Services {

    private static final Duration START_DEADLINE = Duration.ofMinutes(2);
    private static final Duration POLL = Duration.ofMillis(20);

    private final Executor executor;
    private final Controller controller;
    private final Worker worker;
    private final Scheduler scheduler;
    private final Indexer indexer;
    private final ExecutorService threads = Executors.newCachedThreadPool(
        Thread.ofPlatform().name("engine-", 0).daemon().factory()
    );

    Services(Executor executor, Controller controller, Worker worker, Scheduler scheduler, Indexer indexer) {
        this.executor = executor;
        this.controller = controller;
        this.worker = worker;
        this.scheduler = scheduler;
        this.indexer = indexer;
    }

    /** Starts everything but the scheduler, and returns when all of it runs. */
    void start(int workerThreads) throws InterruptedException {
        List.<Runnable>of(executor, controller::start, () -> worker.start(workerThreads), indexer).forEach(threads::execute);
        await(List.of(executor, controller, worker, indexer));
    }

    /** Lets schedules fire: the flows are there now. */
    void startScheduler() throws InterruptedException {
        threads.execute(scheduler);
        await(List.of(scheduler));
    }

    private static void await(List<? extends Service> services) throws InterruptedException {
        long deadline = System.nanoTime() + START_DEADLINE.toNanos();
        while (!services.stream().allMatch(service -> service.getState() == ServiceState.RUNNING)) {
            boolean ended = services.stream().map(Service::getState).anyMatch(
                state -> state != null && state != ServiceState.CREATED && state != ServiceState.RUNNING
            );
            if (ended || System.nanoTime() > deadline) {
                throw new IllegalStateException("Kestra's services do not start: " + told(services) + ".");
            }
            Thread.sleep(POLL);
        }
    }

    private static String told(List<? extends Service> services) {
        return services.stream().map(service -> service.getType() + " " + service.getState()).collect(Collectors.joining(", "));
    }
}
