package drydock.engine;

import io.grpc.ManagedChannelBuilder;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.kestra.controller.GrpcChannelManager;
import io.kestra.controller.config.GrpcChannelConfiguration;
import io.kestra.controller.config.GrpcConfiguration;
import io.kestra.controller.config.WorkerControllersConfiguration;
import io.kestra.core.storages.StorageInterface;
import io.micronaut.context.annotation.Replaces;
import jakarta.inject.Provider;
import jakarta.inject.Singleton;

/** The worker's way to {@link InProcessController}. */
@Singleton
@Replaces(GrpcChannelManager.class)
final class InProcessChannel extends GrpcChannelManager {

    private final GrpcConfiguration grpc;

    InProcessChannel(
        GrpcChannelConfiguration channel,
        GrpcConfiguration grpc,
        WorkerControllersConfiguration controllers,
        Provider<StorageInterface> storage
    ) {
        super(channel, grpc, controllers, storage);
        this.grpc = grpc;
    }

    @Override
    protected ManagedChannelBuilder<?> configureChannel(ManagedChannelBuilder<?> unused) {
        return InProcessChannelBuilder.forName(InProcessController.NAME)
            .maxInboundMessageSize(grpc.maxInboundMessageSize());
    }
}
