"""What is told of a decision's memory."""

from lb.controller.view import services_status
from lb.decide import Memory
from lb.decide.memory import ServiceMemory
from tests.lb.world import a_desired, a_service


def failures_told(memory):
    desired = a_desired([a_service()])
    [told] = services_status(
        desired, memory, targets={}, pools={}, assignments={}, health_of=lambda _replica_id: None
    )
    return told.failures


def test_failures_in_a_row_are_told():
    [service] = a_desired([a_service()]).services
    memory = Memory(services={service.name: ServiceMemory(service.bundle.sha256, failures=3)})
    assert failures_told(memory) == 3


def test_a_service_that_nothing_is_remembered_of_has_not_failed():
    assert failures_told(Memory()) == 0
