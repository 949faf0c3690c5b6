"""A machine goes when nothing is under way, and not before the controller could have led callers elsewhere."""

from lb.agent.leaving import HEARD_S, SETTLED_S, Approval, Quiet


class World:
    def __init__(self):
        self.now, self.active = 1000.0, 0
        self.quiet = Quiet(lambda: self.active, clock=lambda: self.now)
        self.approval = Approval(self.quiet, clock=lambda: self.now)


def test_quiet_begins_anew_with_each_request():
    world = World()
    assert world.quiet.look() == 0
    world.now += 3
    assert world.quiet.look() == 3
    world.active = 1
    assert world.quiet.look() == 0
    world.active = None  # nobody passes requests on
    assert world.quiet.look() == 0
    world.now += 4
    assert world.quiet.look() == 4


def test_an_end_that_nobody_announced_is_not_approved():
    world = World()
    world.now += 1000
    assert not world.approval.given()


def test_an_announced_end_is_approved_once_everybody_could_have_heard_and_nothing_is_under_way():
    world = World()
    world.approval.heard()
    world.active = 2
    world.now += HEARD_S + 60
    assert not world.approval.given()
    world.active = 0
    assert not world.approval.given()
    world.now += SETTLED_S - 1
    assert not world.approval.given()
    world.now += 1
    assert world.approval.given()


def test_while_the_controller_sends_callers_here_no_end_is_approved_however_quiet_it_is():
    world = World()
    world.approval.heard()
    for _ in range(60):
        world.now += 5
        world.approval.needed()
        assert not world.approval.given()
    world.now += HEARD_S - 1
    assert not world.approval.given()
    world.now += 1
    assert not world.approval.given()
    world.now += SETTLED_S
    assert world.approval.given()


def test_hearing_of_it_again_does_not_start_the_wait_anew():
    world = World()
    world.approval.heard()
    assert not world.approval.given()
    world.now += HEARD_S - 1
    world.approval.heard()
    assert not world.approval.given()
    world.now += 1 + SETTLED_S
    assert not world.approval.given()
    world.now += SETTLED_S
    assert world.approval.given()
