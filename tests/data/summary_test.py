import dataclasses

from blur_jax.data import splits, summary


def test_parts_of_the_demo_are_counted(config):
    found = summary.describe_data(config.data)
    counts = {(part["kind"], part["split"]): (part["pairs"], part["ties"], part["faces"]) for part in found["parts"]}
    assert counts["ranked", "test"] == (0, 0, 25)
    assert counts["labeled", "validation"][:2] == (10, 0) and counts["labeled", "train"][0] == 24
    assert counts["unlabeled", "train"][0] == 16
    names = set(splits.open_split(config.data, "unlabeled", "train").names.ravel())
    assert counts["unlabeled", "train"][2] == len(names)
    assert (found["lists"], found["agreement"], found["headline_splits"]) == ({}, None, ["test"])


def test_ties_coverage_and_agreement_are_told(config, monkeypatch):
    open_split = splits.open_split

    def opened(config, kind, name):
        split = open_split(config, kind, name)
        facts = {"coverage": {"lists": {f"{kind}.txt": {"lines": 3}}}, "agreement": {"alpha": 0.5}}
        labels = split.labels * 0 if kind == "labeled" else split.labels
        return dataclasses.replace(split, labels=labels, metadata=split.metadata | facts)

    monkeypatch.setattr(splits, "open_split", opened)
    found = summary.describe_data(config.data)
    assert [part["ties"] for part in found["parts"]] == [24, 10, 0, 0]
    assert set(found["lists"]) == {"labeled.txt", "unlabeled.txt", "ranked.txt"}
    assert found["agreement"] == {"alpha": 0.5}
