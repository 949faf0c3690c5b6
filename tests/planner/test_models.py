import pytest

from planner.models import parameters_b
from spec.service import ModelSize


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 46.7),
        ("codellama/CodeLlama-70b-Instruct-hf", 70.6),
        ("meta-llama/Llama-2-7b-chat-hf", 6.74),
        ("meta-llama/Meta-Llama-3-8B-Instruct", 8.03),
        ("TabbyML/StarCoder-1B", 1.14),
        ("liuhaotian/llava-v1.6-vicuna-7b", 6.74),
        ("someone/new-model-3.5b", 3.5),
        ("someone/experts-4x20B-chat", 80),
        ("someone/without-a-size", None),
        (None, None),
    ],
)
def test_a_models_name_tells_its_size(service, model, billions):
    assert parameters_b(service("L4:1", model=model)) == billions


def test_a_given_size_wins_over_the_name(service):
    given = service("L4:1", model="x-7b", model_size=ModelSize(parameters_b=9))
    assert parameters_b(given) == 9
