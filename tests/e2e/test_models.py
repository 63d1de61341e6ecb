from __future__ import annotations

from e2e.running import Home


def test_models_are_lines_with_tabs_when_nobody_looks(home: Home) -> None:
    ran = home.treadle("models", "--vendor", "openai", "gpt-6-sol")
    header, row = (line.split("\t") for line in ran.out.splitlines())
    cells = dict(zip(header, row, strict=True))
    assert ran.code == 0
    assert cells["model"] == "openai/gpt-6-sol"
    assert (cells["in"], cells["out"], cells["read"], cells["write"]) == ("2", "10", "0.2", "2.5")
    assert cells["window"] == "1050000"


def test_models_as_json_are_one_object_a_line_with_rows_of_the_users_own(home: Home) -> None:
    home.configure(
        '[models."here/*"]\ncontext_window = 9\n[models."here/tiny"]\nprice = {input = 1, output = 2}\n'
        '[providers.here]\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    ran = home.treadle("models", "--json", "--vendor", "here")
    (told,) = ran.lines
    assert (told["model"], told["context_window"], told["known"]) == ("here/tiny", 9, True)
    assert told["prices"]["input"] == 1


def test_a_model_that_nothing_lists_is_shown_as_unknown(home: Home) -> None:
    (told,) = home.treadle("models", "--json", "openai/gpt-99").lines
    assert (told["model"], told["known"], told["prices"]) == ("openai/gpt-99", False, None)


def test_a_name_or_a_vendor_that_is_not_there_is_one_line_and_exit_code_1(home: Home) -> None:
    wrong = home.treadle("models", "claude-sonet-5")
    assert (wrong.code, wrong.out) == (1, "")
    assert "did you mean" in wrong.complaint
    assert "did you mean openai?" in home.treadle("models", "--vendor", "opnai").complaint
