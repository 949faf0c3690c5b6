"""SkyServe's autoscaler by its code, rule by rule."""

import pytest

from sim.baselines.qps import QpsScaler, Scaled
from sim.policy import Busy, Demand, Orders, View
from spec.scaling import Scaling


def looks(scaler, *arrived):
    return [scaler.look(n) for n in arrived]


def a_scaler(low=1, high=10, **more):
    return QpsScaler(low, high, target_qps=2.0, **more)


def test_it_begins_with_the_least_number():
    assert a_scaler(low=3).target == 3


def test_the_number_is_the_last_minutes_rate_over_what_one_takes_rounded_up():
    scaler = a_scaler(upscale_delay_s=20)
    assert looks(scaler, 121, 480, 1) == [2, 4, 4]


def test_it_moves_up_with_the_fifteenth_look_in_a_row():
    assert looks(a_scaler(), *[600] * 16) == [1] * 14 + [5] * 2


def test_it_goes_to_what_the_last_look_asks_for_not_to_the_least_of_them():
    assert looks(a_scaler(), *[240] * 14, 1080)[-1] == 9


def test_a_single_dip_begins_the_count_anew():
    assert looks(a_scaler(), *[600] * 14, 60, *[600] * 15) == [1] * 29 + [5]


def test_it_moves_down_with_the_sixtieth_look_in_a_row():
    scaler = a_scaler()
    looks(scaler, *[600] * 15)
    assert looks(scaler, *[0] * 61) == [5] * 59 + [1] * 2


def test_a_look_that_asks_for_more_begins_the_count_down_anew():
    scaler = a_scaler()
    looks(scaler, *[600] * 15)
    assert looks(scaler, *[60] * 59, 900, *[60] * 59)[-1] == 5


def test_the_limits_hold():
    assert looks(a_scaler(low=2, high=4, upscale_delay_s=20, downscale_delay_s=20), 10**6, 0) == [4, 2]


def test_from_zero_it_moves_at_once():
    assert looks(a_scaler(low=0), 0, 1) == [0, 1]


def test_without_a_target_the_number_stays_the_least():
    assert looks(QpsScaler(2, 9, None), *[10**6] * 20)[-1] == 2


def test_it_takes_its_fields_from_a_service_file_and_the_least_of_a_map():
    scaling = Scaling(
        min_replicas=2, max_replicas=7, target_qps_per_replica={"L4": 3.0, "A100": 8.0}, upscale_delay_s=60
    )
    scaler = QpsScaler.of(scaling)
    assert (scaler.low, scaler.high, scaler.target_qps) == (2, 7, 3.0)
    assert (scaler.upscale_delay_s, scaler.downscale_delay_s) == (60, 1200)


class Targets:
    def __init__(self):
        self.seen = []

    def step(self, view, now):
        self.seen.append((now, view.target))
        return Orders()


@pytest.mark.parametrize(("replicas", "looked"), [(1, [0, 20, 40, 60]), (0, [0, 10, 20, 30, 40, 50, 60])])
def test_it_looks_every_20_seconds_and_at_every_tick_while_there_is_no_replica(replicas, looked):
    placed, at = Targets(), []

    class Noting(QpsScaler):
        def look(self, arrived):
            at.append(now)
            return super().look(arrived)

    policy = Scaled(placed, Noting(1, 9, 2.0, upscale_delay_s=20), 10.0)
    for now in range(0, 70, 10):
        view = View(target=1, zones=("a",), demand=Demand([], {1: Busy(0, 0, 0, 0)}, 240))
        view.replicas.update({n: object() for n in range(replicas)})
        assert policy.step(view, now).wake_at == now + 10
    assert at == looked
    assert placed.seen[-1] == (60, 2)
