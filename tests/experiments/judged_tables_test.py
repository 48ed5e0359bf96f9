from experiments import judged_tables


def measured(splits, scorers):
    """A result of `judged_agreement.measure` with these values of "consensus"."""
    shares = {name: {"value": value, "low": None, "high": None} for name, value in scorers.items()}
    values = {name: {"consensus": share, "sure": share, "each_judge": share} for name, share in shares.items()}
    judges = {"ann": {"value": 0.9, "low": None, "high": None}}
    return {"splits": splits, "pairs": 10, "agreed": 9, "sure": 5, "judges": judges, "scorers": values}


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_groups_replace_splits_and_the_best_scorer_comes_first():
    parts = {
        "near": measured(["test1", "test2"], {"ours": 0.5, "other": 0.75}),
        "far": measured(["celeba"], {"ours": 1.0}),
        "test1": measured(["test1"], {"ours": 0.25, "other": 0.75}),
    }
    parts["near"]["scorers"]["other"]["first_minus_this"] = {"value": -0.25, "low": -0.5, "high": 0.0}
    agreement, judges = map(cells, judged_tables.tables_of(parts, "ours").values())
    header = ["near", "near, each judge", "near, ours minus this", "far", "far, each judge", "far, ours minus this"]
    assert agreement[0] == ["scorer", *header]
    assert agreement[2] == ["ours", "0.500", "0.500", "", "1.000", "1.000", ""]
    assert agreement[3] == ["other", "0.750", "0.750", "-0.250 [-0.500, +0.000]", "", "", ""]
    assert [row[1] for row in judges[2:]] == ["0.900"] * 3
    assert judges[2][0] == "near (test1, test2): the judges agree on 9 of 10 pairs, and all of them are sure about 5"


def test_without_groups_and_a_first_scorer_there_are_splits_and_no_differences():
    agreement, _ = map(cells, judged_tables.tables_of({"test": measured(["test"], {"ours": 0.5})}, None).values())
    assert agreement[0] == ["scorer", "test", "test, each judge"] and agreement[2] == ["ours", "0.500", "0.500"]
