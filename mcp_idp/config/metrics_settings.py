"""The settings for the export of metrics."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_idp.config.setting_declaration import read_text, read_url, setting, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Where metrics are exported; by default nowhere."""

    port: int = setting(
        "METRICS_PORT",
        whole_number(0, 65535),
        "0",
        text=(
            "The port at which Prometheus reads metrics (/metrics), another one than PORT; 0 for none. Anybody who "
            "reaches it may read it; it listens on METRICS_HOST. docs/metrics.md lists the metrics. Needs the packages "
            "of the extra otel, which the image contains."
        ),
    )
    host: str = setting(
        "METRICS_HOST",
        read_text,
        "127.0.0.1",
    )
    otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        read_url,
        example="http://collector:4318",
        text=(
            "Send metrics to an OpenTelemetry collector, by OTLP over HTTP. The exporter reads OpenTelemetry's other "
            "variables too (OTEL_EXPORTER_OTLP_HEADERS, OTEL_METRIC_EXPORT_INTERVAL, OTEL_SERVICE_NAME)."
        ),
    )
