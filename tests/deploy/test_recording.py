"""The recorded series of `deploy/observability/recording.yml`."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.proxies import DEPLOY, need

SHARE = "job:btc_http_requests_5xx:ratio_rate5m"
REQUESTS = 'btc_http_requests_total{job="j",instance="a",route="/prices",status="%s"}'


@pytest.mark.parametrize(
    ("series", "share"),
    [
        ({"200": "0+60x40"}, 0),
        ({"200": "0+45x40", "503": "0+15x40"}, 0.25),
        ({"503": "0+60x40"}, 1),
    ],
    ids=["none", "some", "all"],
)
def test_share_of_failed_requests_is_known_whether_any_failed(
    series: dict[str, str], share: float, tmp_path: Path
) -> None:
    shutil.copy(DEPLOY / "observability/recording.yml", tmp_path)
    check = {
        "expr": SHARE,
        "eval_time": "10m",
        "exp_samples": [{"labels": f'{SHARE}{{job="j"}}', "value": share}],
    }
    written = [{"series": REQUESTS % status, "values": values} for status, values in series.items()]
    test = {"interval": "15s", "input_series": written, "promql_expr_test": [check]}
    path = tmp_path / "test.yml"
    path.write_text(
        yaml.safe_dump({"rule_files": ["recording.yml"], "evaluation_interval": "15s", "tests": [test]})
    )
    done = subprocess.run(
        [need("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
