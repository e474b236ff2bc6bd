"""Exports metrics: as Prometheus text at METRICS_PORT, and by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT is set.

Both are off by default, and nothing is imported then. They need the packages of the extra `otel`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mcp_idp.config.env import SettingsError

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from mcp_idp.config.metrics_settings import MetricsSettings

log = structlog.get_logger(__name__)
_NAME = "mcp_idp"
_CLOSE_SECONDS = 3


class MetricsExport:
    """Collects metrics and exports them from the start of the server to its end.

    Args:
        settings: where metrics are exported.

    Attributes:
        meter: creates instruments whose metrics are exported.

    Raises:
        SettingsError: the packages of the extra `otel` are not installed.
    """

    def __init__(self, settings: MetricsSettings) -> None:
        self._host, self._port = settings.host, settings.port
        self._server: Any = None
        try:
            self._start(settings.otlp_endpoint)
        except ImportError as error:
            raise SettingsError(
                f"METRICS_PORT and OTEL_EXPORTER_OTLP_ENDPOINT need {error.name}: pip install 'mcp-idp[otel]'"
            ) from error

    def _start(self, otlp_endpoint: str | None) -> None:
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - see the docstring of the module
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from prometheus_client import CollectorRegistry  # noqa: PLC0415

        self._registry = CollectorRegistry()
        readers: list[Any] = []
        if self._port:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415

            readers.append(PrometheusMetricReader(registry=self._registry, scope_info_enabled=False))
        if otlp_endpoint is not None:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))  # it reads the OTEL_… variables
        resource = Resource.create({"service.name": "mcp-server"})  # OTEL_SERVICE_NAME takes precedence
        self._provider = MeterProvider(readers, resource)
        self.meter: Meter = self._provider.get_meter(_NAME)

    async def listen(self) -> None:
        """Starts to serve Prometheus text at METRICS_PORT, if that is set.

        Raises:
            SettingsError: the port cannot be used.
        """
        if not self._port:
            return
        from prometheus_client import start_http_server  # noqa: PLC0415

        try:
            self._server, _ = start_http_server(self._port, self._host, self._registry)
        except OSError as error:
            raise SettingsError(
                f"METRICS_PORT={self._port}: cannot listen on {self._host} ({error.strerror})"
            ) from error
        log.info("metrics_listening", url=f"http://{self._host}:{self._port}/metrics")

    async def close(self) -> None:
        """Exports what has not been exported yet, for at most `_CLOSE_SECONDS`, and stops."""
        await asyncio.to_thread(self._stop)  # both wait

    def _stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._provider.shutdown(timeout_millis=_CLOSE_SECONDS * 1000)


def open_metrics_export(settings: MetricsSettings) -> MetricsExport | None:
    """Returns the export that the settings configure; None if they configure none.

    Raises:
        SettingsError: the packages for it are not installed.
    """
    return MetricsExport(settings) if settings.port or settings.otlp_endpoint else None
