package drydock.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import io.kestra.core.exceptions.FlowProcessingException;
import io.kestra.core.models.flows.Flow;
import io.kestra.core.models.flows.FlowSource;
import io.kestra.core.models.flows.GenericFlow;
import io.kestra.core.models.validations.ValidateConstraintViolation;
import io.kestra.core.queues.QueueException;
import io.kestra.core.repositories.FlowRepositoryInterface;
import io.kestra.core.services.FlowService;
import io.kestra.core.tenant.TenantService;
import jakarta.inject.Singleton;

/** Flows from files, registered when the engine starts. */
@Singleton
final class FlowFolder {

    private static final Logger LOG = LoggerFactory.getLogger(FlowFolder.class);

    private static final String TENANT = TenantService.MAIN_TENANT;

    private final FlowService service;
    private final FlowRepositoryInterface repository;

    FlowFolder(FlowService service, FlowRepositoryInterface repository) {
        this.service = service;
        this.repository = repository;
    }

    /**
     * Registers every `*.yaml` of the folder, or none: Kestra itself would leave out what is wrong, with a warning.
     *
     * <p>A flow whose file is gone stays registered, as on a server: its executions are told by it.
     */
    void load(Path folder) throws IOException, FlowsRefused {
        List<Path> files;
        try (Stream<Path> found = Files.list(folder)) {
            files = found.filter(file -> file.getFileName().toString().endsWith(".yaml")).sorted().toList();
        }
        List<String> refused = new ArrayList<>();
        for (FlowFile file : validated(files, refused)) {
            register(file, refused);
        }
        if (!refused.isEmpty()) {
            throw new FlowsRefused(String.join("\n", refused));
        }
        LOG.info("{} flows from {}", files.size(), folder);
    }

    private List<FlowFile> validated(List<Path> files, List<String> refused) throws IOException {
        List<FlowFile> found = new ArrayList<>();
        for (Path path : files) {
            String source = Files.readString(path);
            for (ValidateConstraintViolation told : service.validate(TENANT, List.of(new FlowSource(path.toString(), source)))) {
                if (told.getConstraints() != null) {
                    refused.add(path + ": " + told.getConstraints());
                } else {
                    found.add(new FlowFile(path, source));
                }
            }
        }
        return refused.isEmpty() ? found : List.of();
    }

    private void register(FlowFile file, List<String> refused) {
        try {
            GenericFlow flow = GenericFlow.fromYaml(TENANT, file.source());
            Optional<Flow> present = repository.findById(TENANT, flow.getNamespace(), flow.getId(), Optional.empty());
            if (present.isPresent()) {
                service.update(flow, present.get());
            } else {
                service.create(flow);
            }
        } catch (FlowProcessingException | QueueException | RuntimeException error) {
            refused.add(file.path() + ": " + error.getMessage());
        }
    }

    private record FlowFile(Path path, String source) {
    }
}
