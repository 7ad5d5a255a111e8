"""Bootstrap actions on a real node."""

from collections.abc import Callable

from drydock_emr.node_protocol import BootstrapAction, Phase
from tests.node.rig import Node
from tests.node.surroundings import BUCKET, Gateway
from tests.running import wait_for

# Makes a wheel as a job's lock would name it, and installs it as the platform's bootstrap action does.
INSTALL_A_WHEEL = r"""#!/bin/bash
set -e
mkdir -p tree/tiny tree/tiny-1.0.dist-info wheels
cd tree
echo "WORD = 42" > tiny/__init__.py
printf 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n' > tiny-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n' > tiny-1.0.dist-info/WHEEL
for file in tiny/__init__.py tiny-1.0.dist-info/{METADATA,WHEEL,RECORD}; do echo "$file,,"; done > ../RECORD
mv ../RECORD tiny-1.0.dist-info/RECORD
python3 -m zipfile -c ../wheels/tiny-1.0-py3-none-any.whl tiny tiny-1.0.dist-info
cd ..
echo "tiny==1.0 --hash=sha256:$(sha256sum wheels/*.whl | cut -d' ' -f1)" > requirements.txt
sudo python3.11 -m pip install --no-index --find-links wheels --require-hashes -r requirements.txt
"""


def test_actions_run_in_order_with_their_arguments(new_node: Callable[[str], Node], gateway: Gateway) -> None:
    script = gateway.put("bootstrap/a.sh", '#!/bin/bash\nfor x in "$@"; do echo "<$x>" >> ~/order; done\n')
    without_first_line = gateway.put("bootstrap/b.sh", "echo b >> ~/order; echo told; echo warned >&2\n")
    node = new_node("bootstrapped")
    actions = (
        BootstrapAction(name="first", path=script.replace("s3:", "s3n:"), args=("a b", "", "ü")),
        BootstrapAction(name="second", path=without_first_line),
    )
    node.join("j-BOOT", bootstrap_actions=actions)
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    assert (node.scratch / "tenancy/home/order").read_text() == "<a b>\n<>\n<ü>\nb\n"
    prefix = "logs/j-BOOT/node/i-bootstrapped/bootstrap-actions/2"
    wait_for(lambda: "told" in gateway.log(f"{prefix}/stdout.gz"), "its stdout")
    wait_for(lambda: "warned" in gateway.log(f"{prefix}/stderr.gz"), "its stderr")
    wait_for(lambda: "ended with exit code 0" in gateway.log(f"{prefix}/controller.gz"), "its controller log")


def test_the_first_that_fails_fails_the_node(new_node: Callable[[str], Node], gateway: Gateway) -> None:
    good = BootstrapAction(name="good", path=gateway.put("bootstrap/good.sh", "exit 0\n"))
    bad = BootstrapAction(name="bad", path=gateway.put("bootstrap/bad.sh", "echo no >&2; exit 4\n"))
    never = BootstrapAction(name="never", path=gateway.put("bootstrap/never.sh", "touch ~/never\n"))
    node = new_node("unlucky")
    node.join("j-BAD", bootstrap_actions=(good, bad, never))
    report = node.await_report(lambda report: report.phase is Phase.FAILED, "to be FAILED")
    assert report.failure.bootstrap_action == 2
    assert report.failure.message == "returned a non-zero return code"
    assert not (node.scratch / "tenancy/home/never").exists()
    prefix = "logs/j-BAD/node/i-unlucky/bootstrap-actions/2"
    wait_for(lambda: gateway.log(f"{prefix}/stderr.gz") == "no\n", "its stderr")


def test_a_script_that_is_not_there_fails_the_node(new_node: Callable[[str], Node]) -> None:
    node = new_node("missing")
    action = BootstrapAction(name="none", path=f"s3://{BUCKET}/bootstrap/none.sh")
    node.join("j-NONE", bootstrap_actions=(action,))
    report = node.await_report(lambda report: report.phase is Phase.FAILED, "to be FAILED")
    assert report.failure.bootstrap_action == 1
    assert f"s3://{BUCKET}/bootstrap/none.sh could not be fetched" in report.failure.message


def test_one_that_hangs_is_ended_with_all_that_it_started(new_node: Callable[..., Node], gateway: Gateway) -> None:
    script = "trap '' TERM; (setsid sleep 1001 &); echo waiting; while :; do sleep 1; done\n"
    hangs = BootstrapAction(name="hangs", path=gateway.put("bootstrap/hangs.sh", script))
    never = BootstrapAction(name="never", path=gateway.put("bootstrap/never.sh", "touch ~/never\n"))
    node = new_node("patient", variables={"NODE_BOOTSTRAP_TIMEOUT_SECONDS": "2"})
    node.join("j-HANGS", bootstrap_actions=(hangs, never))
    report = node.await_report(lambda report: report.phase is Phase.FAILED, "to be FAILED")
    assert report.failure.bootstrap_action == 1
    assert report.failure.message == "did not end within 2 seconds"
    assert not (node.scratch / "tenancy/home/never").exists()
    wait_for(lambda: not node.processes(), "nothing of it to be left")
    prefix = "logs/j-HANGS/node/i-patient/bootstrap-actions/1"
    wait_for(lambda: gateway.log(f"{prefix}/stdout.gz") == "waiting\n", "its stdout")
    wait_for(
        lambda: "has run for 2 seconds and is ended" in gateway.log(f"{prefix}/controller.gz"), "its controller log"
    )


def test_a_package_that_is_not_there_fails_the_node(new_node: Callable[..., Node], gateway: Gateway) -> None:
    script = gateway.put(
        "bootstrap/none.sh", "#!/bin/bash\nsudo pip3 install --no-index --find-links . no-such-package\n"
    )
    node = new_node("lacking")
    node.join("j-LACKING", bootstrap_actions=(BootstrapAction(name="lacks", path=script),))
    report = node.await_report(lambda report: report.phase is Phase.FAILED, "to be FAILED")
    assert (report.failure.bootstrap_action, report.failure.message) == (1, "returned a non-zero return code")
    stderr = "logs/j-LACKING/node/i-lacking/bootstrap-actions/1/stderr.gz"
    wait_for(lambda: "No matching distribution found for no-such-package" in gateway.log(stderr), "its stderr")


def test_sudo_pip_installs_for_the_tenancy_only(new_node: Callable[[str], Node], gateway: Gateway) -> None:
    script = gateway.put("bootstrap/pip.sh", INSTALL_A_WHEEL)
    node = new_node("pip")
    node.join("j-PIP", bootstrap_actions=(BootstrapAction(name="pip", path=script),))
    node.await_report(lambda report: report.phase in {Phase.READY, Phase.FAILED}, "to be READY", 60)
    assert node.report.phase is Phase.READY, (node.scratch / "tenancy/log/bootstrap-actions/1/stderr").read_text()
    node.lease("s-TINY", "python3.11", "-c", "import tiny, sys; sys.exit(tiny.WORD)")
    assert node.await_lease("s-TINY").exit_code == 42
    node.leave()
    node.await_report(lambda report: report.phase is Phase.IDLE and report.tenancy == 2, "to be IDLE anew")
    node.join("j-PIP2")
    node.await_report(lambda report: report.phase is Phase.READY, "to be READY")
    node.lease("s-GONE", "python3.11", "-c", "import tiny")
    assert node.await_lease("s-GONE").failure.message == "ModuleNotFoundError: No module named 'tiny'"
