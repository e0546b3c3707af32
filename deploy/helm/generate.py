"""Writes the Helm chart from the Kubernetes manifests, so that there is one description of what runs.

    python deploy/helm/generate.py [--check]

Each rule replaces text of a manifest by a value of the chart, and must find it, so that a manifest of another shape is
noticed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CHART = HERE / "plaudit"
MANIFESTS = HERE.parent / "kubernetes"
PROJECT = HERE.parent.parent / "pyproject.toml"

MADE = "# Made by deploy/helm/generate.py from deploy/kubernetes/{name}: change that.\n"
SCALED = ("reaction-svc", "message-svc", "counter-svc", "fanout-svc", "gateway")
PODS = ("session-registry", *SCALED)
SELF = ("network.yaml", "ingress.yaml", "migrate.yaml", "settings.yaml")

_IMAGE = (
    r"image: plaudit$",
    'image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"',
)
_KEYS = (r"secretName: plaudit-keys", "secretName: {{ .Values.keysSecret }}")
_ROLLED = (
    r'prometheus\.io/port: "9100"}$',
    'prometheus.io/port: "9100", checksum/settings: "{{ .Values.settings | toJson | sha256sum }}"}',
)
_TLS_ENV = (
    r"(            - {name: PLAUDIT_ADVERTISE, .*\n)",
    r"""\1            {{- if .Values.mtls.enabled }}
            - {name: PLAUDIT_TLS__CA, value: /etc/plaudit/tls/ca.pem}
            - {name: PLAUDIT_TLS__CERT, value: /etc/plaudit/tls/service.pem}
            - {name: PLAUDIT_TLS__KEY, value: /etc/plaudit/tls/service.key}
            {{- end }}
""",
)
_TLS_MOUNT = (
    r"(            - {name: tmp, mountPath: /tmp}\n)",
    r"""\1            {{- if .Values.mtls.enabled }}
            - {name: tls, mountPath: /etc/plaudit/tls, readOnly: true}
            {{- end }}
""",
)
_TLS_VOLUME = (
    r"(          secret: {secretName: [^\n]*keysSecret[^\n]*\n)",
    r"""\1        {{- if .Values.mtls.enabled }}
        - name: tls
          secret: {secretName: {{ .Values.mtls.secret }}, defaultMode: 0440}
        {{- end }}
""",
)
# The kubelet has no certificate: with mutual TLS health is asked of the status port.
_TLS_PROBES = (
    r"(?P<kind>          (?:startup|readiness)Probe:\n)(?P<plain>            (?:grpc|httpGet): .*\n)",
    r"""\g<kind>            {{- if .Values.mtls.enabled }}
            httpGet: {path: /readyz, port: status}
            {{- else }}
\g<plain>            {{- end }}
""",
)


def chart() -> dict[Path, str]:
    """The files of the chart that are made here, with their contents."""
    version = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["version"]
    files = {
        CHART / "Chart.yaml": _CHART.format(version=version),
        CHART / "values.yaml": _values(),
    }
    for name in PODS:
        files[CHART / "templates" / f"{name}.yaml"] = _made(f"{name}.yaml", _pod(name))
    for name in SELF:
        files[CHART / "templates" / name] = _made(name, _RULES[name])
    return files


def _made(name: str, rules: list[tuple[str, str]]) -> str:
    text = (MANIFESTS / name).read_text("utf-8")
    for found, put in rules:
        text, times = re.subn(found, put, text, flags=re.MULTILINE)
        if not times:
            raise ValueError(f"{name}: nothing matches {found!r}")
    if name == "ingress.yaml":
        text = f"{{{{- if .Values.ingress.enabled }}}}\n{text}{{{{- end }}}}\n"
    return MADE.format(name=name) + text


def _pod(name: str) -> list[tuple[str, str]]:
    own = f".Values.{_camel(name)}"
    rules = [_IMAGE, _KEYS, _ROLLED, _TLS_ENV, _TLS_MOUNT, _TLS_VOLUME, _TLS_PROBES]
    resources = rf"\1 {{{{- toYaml {own}.resources | nindent 12 }}}}\n"
    rules.append((r"( +resources:)\n +requests: .*\n +limits: .*\n", resources))
    if name in SCALED:
        rules += [(rf"{bound}: \d+", f"{bound}: {{{{ {own}.{bound} }}}}") for bound in ("minReplicas", "maxReplicas")]
    return rules


_RULES: dict[str, list[tuple[str, str]]] = {
    "network.yaml": [(r"(metadata\.name: )monitoring", r"\1{{ .Values.monitoringNamespace }}")],
    "ingress.yaml": [
        (r"  annotations:\n(?:    .*\n)+", "  annotations: {{- toYaml .Values.ingress.annotations | nindent 4 }}\n"),
        (
            r"^spec:\n",
            "spec:\n  {{- with .Values.ingress.className }}\n  ingressClassName: {{ . }}\n  {{- end }}\n",
        ),
        (r"plaudit\.example\.com", "{{ .Values.ingress.host }}"),
        (r"plaudit-edge-tls", "{{ .Values.ingress.tlsSecret }}"),
    ],
    # A Job cannot be changed: each revision has its own. Processes wait for it by ending and starting again.
    "migrate.yaml": [_IMAGE, (r"^  name: plaudit-migrate$", "  name: plaudit-migrate-{{ .Release.Revision }}")],
    "settings.yaml": [(r"^data:\n(?:  .*\n)+", "data: {{- toYaml .Values.settings | nindent 2 }}\n")],
}


def _values() -> str:
    """Every value as the manifests have it."""
    made = {name: list(yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text("utf-8"))) for name in PODS}
    ingress = _read("ingress.yaml")
    kustomization = _read("kustomization.yaml")
    [image] = kustomization["images"]
    secret = _read_component()
    values: dict[str, Any] = {
        "image": {"repository": image["newName"], "tag": ""},
        "keysSecret": "plaudit-keys",
        "settings": _read("settings.yaml")["data"],
        "mtls": {"enabled": False, "secret": secret},
        "ingress": {
            "enabled": True,
            "className": "",
            "host": ingress["spec"]["rules"][0]["host"],
            "tlsSecret": ingress["spec"]["tls"][0]["secretName"],
            "annotations": ingress["metadata"]["annotations"],
        },
        "monitoringNamespace": "monitoring",
    }
    for name, manifests in made.items():
        own: dict[str, Any] = {}
        for one in manifests:
            if one["kind"] == "HorizontalPodAutoscaler":
                own |= {bound: one["spec"][bound] for bound in ("minReplicas", "maxReplicas")}
        [container] = manifests[0]["spec"]["template"]["spec"]["containers"]
        values[_camel(name)] = own | {"resources": container["resources"]}
    lines = []
    for name, value in values.items():
        lines += [f"# {said}" for said in _SAID.get(name, "").splitlines()]
        lines.append(yaml.safe_dump({name: value}, sort_keys=False, width=1000).rstrip())
    return "# Made by deploy/helm/generate.py from deploy/kubernetes: change that.\n" + "\n".join(lines) + "\n"


def _read(name: str) -> Any:
    return yaml.safe_load((MANIFESTS / name).read_text("utf-8"))


def _read_component() -> str:
    steps = yaml.safe_load(_read("mtls/kustomization.yaml")["patches"][0]["patch"])
    [secret] = [step["value"]["secret"]["secretName"] for step in steps if step["path"].endswith("/volumes/-")]
    return str(secret)


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(map(str.capitalize, rest))


_CHART = """\
# Made by deploy/helm/generate.py: change that.
apiVersion: v2
name: plaudit
description: A real-time messaging and reactions backend
type: application
version: {version}
appVersion: {version}
kubeVersion: ">=1.27.0-0"
"""
_SAID = {
    "image": "An empty tag is the version of the chart.",
    "keysSecret": "Holds data/keys, which the first `plaudit up` makes.",
    "settings": "What all processes share. Partitions cannot be changed later: see deploy/kubernetes/README.md.",
    "mtls": "Mutual TLS between the processes; the secret holds ca.pem, service.pem and service.key.",
    "monitoringNamespace": "Where Prometheus is.",
    "reactionSvc": "No more pods than the log has partitions have work to do.",
    "messageSvc": "The same, of the topic of conversations.",
}


def stale() -> list[str]:
    """The files that are not what the manifests make them."""
    return [str(path) for path, text in chart().items() if not path.exists() or path.read_text("utf-8") != text]


def main() -> None:
    """Writes the chart; with `--check` only says whether it is fresh."""
    if "--check" in sys.argv:
        sys.exit(f"make gen: not fresh: {', '.join(found)}" if (found := stale()) else 0)
    for path, text in chart().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
