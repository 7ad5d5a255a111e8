package drydock.engine;

import java.util.List;

import io.grpc.ServerBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.kestra.controller.DefaultController;
import io.kestra.controller.config.ControllerConfiguration;
import io.kestra.controller.config.GrpcConfiguration;
import io.kestra.controller.grpc.InternalCallServerInterceptor;
import io.kestra.controller.grpc.WorkerControllerService;
import io.kestra.core.metrics.MetricRegistry;
import io.kestra.core.server.ServiceStateChangeEvent;
import io.micronaut.context.annotation.Replaces;
import io.micronaut.context.event.ApplicationEventPublisher;
import jakarta.inject.Singleton;

/**
 * Hands out work to the worker of this JVM alone.
 *
 * <p>Kestra's own listens on a port of every interface and asks nobody who he is, which is for a network that is kept
 * apart. Here controller and worker share a process, so they talk within it.
 */
@Singleton
@Replaces(DefaultController.class)
final class InProcessController extends DefaultController {

    static final String NAME = "kestra-controller";

    private final List<WorkerControllerService> services;

    InProcessController(
        List<WorkerControllerService> services,
        GrpcConfiguration grpc,
        ControllerConfiguration configuration,
        MetricRegistry metrics,
        ApplicationEventPublisher<ServiceStateChangeEvent> events
    ) {
        super(services, grpc, configuration, metrics, events);
        this.services = services;
    }

    @Override
    protected ServerBuilder<?> buildServer(int port) {
        ServerBuilder<?> builder = InProcessServerBuilder.forName(NAME)
            .intercept(new InternalCallServerInterceptor())
            .addService(healthStatusManager.getHealthService())
            .maxInboundMessageSize(grpcConfiguration.maxInboundMessageSize());
        services.forEach(service -> builder.addService(service.bindService()));
        return builder;
    }
}
