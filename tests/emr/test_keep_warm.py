"""Which of the free nodes is kept warm as the master."""

from drydock_emr.state.fleet import NodeRecord, keep_warm


def _node(number: int) -> NodeRecord:
    return NodeRecord(f"node-{number}", f"127.0.0.{10 + number}", 7077)


def test_the_first_by_name_is_the_master_in_whatever_order_nodes_report() -> None:
    nodes = [_node(2)]
    keep_warm(nodes)
    assert nodes[0].daemons.master
    nodes += [_node(3), _node(1)]
    keep_warm(nodes)
    assert [node.daemons.master for node in nodes] == [False, False, True]
    assert {node.daemons.worker_of for node in nodes[:2]} == {"spark://127.0.0.11:7077"}


def test_the_master_of_the_free_nodes_stays_while_a_cluster_uses_others() -> None:
    nodes = [_node(number) for number in range(1, 7)]
    for node in nodes[:3]:
        node.cluster_id = "j-1"
    keep_warm(nodes)
    assert nodes[3].daemons.master
    tenancies = [node.tenancy for node in nodes[3:]]
    nodes[0].cluster_id = None  # one is given back before the others
    keep_warm(nodes)
    assert [node.tenancy for node in nodes[3:]] == tenancies
    assert nodes[0].daemons.worker_of == nodes[3].master_url
