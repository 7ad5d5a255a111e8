package drydock.engine;

/** Files of the folder of flows that did not become flows; the message says which, and why. */
final class FlowsRefused extends Exception {

    private static final long serialVersionUID = 1L;

    FlowsRefused(String message) {
        super(message);
    }
}
