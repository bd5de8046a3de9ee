"""The alert rules, judged by promtool: rules they are, of metrics that exist, and each fires when it should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from swarmsec.reports.prometheus_report import render_prometheus
from swarmsec.server.driver_metrics import DriverMetrics
from swarmsec.server.metrics import Metrics
from tests.unit.swarmsec.reports.facts import container, report, swarm
from tests.unit.swarmsec.reports.test_prometheus_report import waived_report

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "docs" / "prometheus" / "alerts.yaml"
DAY = 86_400
LABEL = re.compile(r'(\w+)="([^"]*)"')
EVALUATED = 2 * 3600
"""Seconds from the start of the series until alerts are looked at; promtool's clock starts at 0."""

# Alert: series that make it fire, and series that do not. Each value stands for a minute.
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "SwarmsecDown": ({'up{job="swarmsec",instance="a"}': "0x180"}, {'up{job="swarmsec",instance="a"}': "1x180"}),
    "SwarmsecSealed": ({'swarmsec_sealed{instance="a"}': "1x180"}, {'swarmsec_sealed{instance="a"}': "0x180"}),
    "SwarmsecLogNotWritten": (
        {'swarmsec_audit_write_failures_total{instance="a"}': "0+1x180"},
        {'swarmsec_audit_write_failures_total{instance="a"}': "7x180"},
    ),
    "SwarmsecLogContradicted": (
        {'swarmsec_audit_witness_answers_total{instance="a",result="contradicted"}': "0+1x180"},
        {'swarmsec_audit_witness_answers_total{instance="a",result="unreachable"}': "0+1x180"},
    ),
    "SwarmsecLogUnwitnessed": (
        {'swarmsec_audit_unwitnessed_entries{instance="a"}': "9x180"},
        {'swarmsec_audit_unwitnessed_entries{instance="a"}': "0x180"},
    ),
    "SwarmsecCertificateEnds": (
        {'swarmsec_ca_certificate_not_after_timestamp_seconds{instance="a",kind="server"}': f"{2 * DAY}x180"},
        {'swarmsec_ca_certificate_not_after_timestamp_seconds{instance="a",kind="server"}': f"{5 * DAY}x180"},
    ),
    "SwarmsecRootEnds": (
        {'swarmsec_ca_certificate_not_after_timestamp_seconds{instance="a",kind="root"}': f"{300 * DAY}x180"},
        {'swarmsec_ca_certificate_not_after_timestamp_seconds{instance="a",kind="root"}': f"{400 * DAY}x180"},
    ),
    "SwarmsecTrustTimestampEnds": (
        {'swarmsec_trust_not_after_timestamp_seconds{instance="a",role="timestamp"}': f"{DAY // 2}x180"},
        {'swarmsec_trust_not_after_timestamp_seconds{instance="a",role="timestamp"}': f"{DAY}x180"},
    ),
    "SwarmsecTrustRoleEnds": (
        {'swarmsec_trust_roles_due{instance="a",within="7d"}': "2x180"},
        {'swarmsec_trust_roles_due{instance="a",within="60d"}': "2x180"},
    ),
    "SwarmsecSecretOverdue": (
        {'swarmsec_secret_rotation_overdue{instance="a"}': "1x180"},
        {'swarmsec_secret_rotation_overdue{instance="a"}': "0x180"},
    ),
    "SwarmsecSecretRotationOpen": (
        {'swarmsec_secret_rotations_open{instance="a"}': "1x180"},
        {'swarmsec_secret_rotations_open{instance="a"}': "0x180"},
    ),
    "SwarmsecServerErrors": (
        {'swarmsec_http_requests_total{instance="a",route="readyz",status="503"}': "0+1x180"},
        {'swarmsec_http_requests_total{instance="a",route="readyz",status="200"}': "0+1x180"},
    ),
    "SwarmsecTokensTried": (
        {'swarmsec_http_refusals_total{instance="a",route="node.join",kind="denied"}': "0+5x180"},
        {'swarmsec_http_refusals_total{instance="a",route="node.join",kind="denied"}': "0x180"},
    ),
    "SwarmsecLogNotSigned": (
        {
            'swarmsec_audit_tree_size{instance="a"}': "9x180",
            'swarmsec_audit_checkpoint_size{instance="a"}': "8x180",
        },
        {
            'swarmsec_audit_tree_size{instance="a"}': "9x180",
            'swarmsec_audit_checkpoint_size{instance="a"}': "9x180",
        },
    ),
    "SwarmsecRevocationListOld": (
        {'swarmsec_crl_next_update_timestamp_seconds{instance="a"}': "3600x180"},
        {'swarmsec_crl_next_update_timestamp_seconds{instance="a"}': "0x180"},
    ),
    "SwarmsecBackupOld": (
        {'swarmsec_backup_last_success_timestamp_seconds{instance="a"}': f"{-2 * DAY}x180"},
        {'swarmsec_backup_last_success_timestamp_seconds{instance="a"}': "0x180"},
    ),
    "SwarmsecRotationStuck": (
        {'swarmsec_ca_rotation_started_timestamp_seconds{instance="a"}': "1x180"},
        {'swarmsec_ca_rotation_started_timestamp_seconds{instance="a"}': "0x180"},
    ),
    "SwarmsecDeliveriesFail": (
        {'swarmsec_secret_deliveries_total{instance="a",result="unavailable"}': "0+1x180"},
        {
            'swarmsec_secret_deliveries_total{instance="a",result="delivered"}': "0+1x180",
            'swarmsec_secret_deliveries_total{instance="a",result="policy"}': "7x180",
        },
    ),
    "SwarmsecAgentsSilent": (
        {'swarmsec_agents{instance="a",state="silent"}': "1x180"},
        {'swarmsec_agents{instance="a",state="silent"}': "0x180"},
    ),
    "SwarmsecQuorumMargin": (
        {'swarmsec_swarm_quorum_margin{instance="a"}': "0x180"},
        {'swarmsec_swarm_quorum_margin{instance="a"}': "1x180"},
    ),
    "SwarmsecControlFails": (
        {'swarmsec_check_results{instance="a",control="SWS-14",status="fail",severity="high"}': "1x180"},
        {
            'swarmsec_check_results{instance="a",control="SWS-12",status="fail",severity="medium"}': "1x180",
            'swarmsec_check_results{instance="a",control="SWS-14",status="waived",severity="high"}': "1x180",
        },
    ),
    "SwarmsecWaiverEnds": (
        {'swarmsec_waivers_expiring_timestamp_seconds{instance="a",control="SWS-14"}': f"{14 * DAY}x180"},
        {'swarmsec_waivers_expiring_timestamp_seconds{instance="a",control="SWS-14"}': f"{15 * DAY}x180"},
    ),
    "SwarmsecReportIncomplete": (
        {'swarmsec_check_results{instance="a",control="SWS-14",status="error",severity="high"}': "1x180"},
        {'swarmsec_check_results{instance="a",control="SWS-14",status="not_checked",severity="high"}': "1x180"},
    ),
    "SwarmsecReportOld": (
        {'swarmsec_report_timestamp_seconds{instance="a"}': f"{-2 * DAY}x180"},
        {'swarmsec_report_timestamp_seconds{instance="a"}': f"{-DAY}x180"},
    ),
}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/usr/bin/promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_they_are_rules() -> None:
    done = promtool("check", "rules", str(RULES))

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES)} rules found" in done.stdout


def test_every_rule_has_a_case_and_says_what_to_do() -> None:
    assert [rule["alert"] for rule in rules()] == list(CASES)
    assert all(rule["annotations"].keys() == {"summary", "action"} for rule in rules())


def test_they_speak_of_metrics_that_exist() -> None:
    registries = Metrics(version="0").registry, DriverMetrics().registry
    families = {family.name for registry in registries for family in registry.collect()}
    families |= {family.name for family in text_string_to_metric_families(render_prometheus(waived_report()).decode())}
    used = {name for rule in rules() for name in re.findall(r"swarmsec_[a-z_]+", rule["expr"])}

    assert used
    assert {name.removesuffix("_total") for name in used} <= families


@pytest.mark.parametrize("alert", CASES)
@pytest.mark.parametrize("fires", [True, False])
def test_a_rule_fires_when_it_should_and_not_else(alert: str, fires: bool, tmp_path: Path) -> None:
    series = CASES[alert][0 if fires else 1]
    (rule,) = (rule for rule in rules() if rule["alert"] == alert)
    known = tmp_path / "rules.yaml"
    # Texts of alerts hold what only Prometheus fills in; what is tested is whether they fire.
    known.write_text(json.dumps({"groups": [{"name": "one", "rules": [{**rule, "annotations": {}}]}]}))
    of_series = dict(label for name in series for label in LABEL.findall(name))
    kept = re.search(r"\bby \(([a-z, ]+)\)", rule["expr"])
    if kept:
        of_series = {name: of_series[name] for name in kept[1].split(", ")}

    judge(tmp_path, known, series, {alert: [{**of_series, **rule["labels"]}] if fires else []})


def test_what_a_report_writes_raises_its_alerts(tmp_path: Path) -> None:
    answers = swarm()
    answers["/nodes"][0]["ManagerStatus"]["Reachability"] = "unreachable"
    container(answers)["Env"] = ["DB_PASSWORD=hunter2"]
    del answers["/networks"]
    families = list(text_string_to_metric_families(render_prometheus(report(answers)).decode()))
    samples = [sample for family in families for sample in family.samples]
    series = {series_of(sample): f"{sample.value}x180" for sample in samples}
    failing = [
        {"control": sample.labels["control"], "status": "fail", "severity": "warning"}
        for sample in samples
        if sample.labels.get("status") == "fail" and sample.labels["severity"] in {"critical", "high"}
    ]
    assert {"SWS-14", "CIS-7.4"} <= {labels["control"] for labels in failing}

    known = tmp_path / "rules.yaml"
    known.write_text(
        json.dumps({"groups": [{"name": "all", "rules": [{**rule, "annotations": {}} for rule in rules()]}]})
    )
    judge(
        tmp_path,
        known,
        series,
        {
            "SwarmsecQuorumMargin": [{"severity": "critical"}],
            "SwarmsecControlFails": failing,
            "SwarmsecReportIncomplete": [{"severity": "warning"}],
            "SwarmsecReportOld": [],
            "SwarmsecWaiverEnds": [],
        },
    )


def series_of(sample: Sample) -> str:
    """A sample's name and labels as Prometheus writes them."""
    labels = ",".join(f'{name}="{text}"' for name, text in sample.labels.items())
    return f"{sample.name}{{{labels}}}"


def judge(directory: Path, known: Path, series: dict[str, str], alerts: dict[str, list[dict[str, str]]]) -> None:
    """Have promtool say whether exactly these alerts, with these labels, come of the series."""
    expected = [
        {
            "eval_time": f"{EVALUATED}s",
            "alertname": alert,
            "exp_alerts": [{"exp_labels": labels} for labels in found],
        }
        for alert, found in alerts.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    case = {"interval": "1m", "input_series": inputs, "alert_rule_test": expected}
    cases = directory / "cases.yaml"
    cases.write_text(json.dumps({"rule_files": [str(known)], "evaluation_interval": "1m", "tests": [case]}))

    done = promtool("test", "rules", str(cases))
    assert done.returncode == 0, done.stdout + done.stderr
