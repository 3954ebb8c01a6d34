// SPDX-License-Identifier: Apache-2.0

/**
 * Every metric of Bureau's processes: what can be told, under which name, with which labels. No other is rendered, nor
 * believed of another process. Labels take names that an operator gave or that stand in the code; never what an agent
 * or a request said, except hosts, of which a process keeps a bounded number.
 */

export type MetricType = "counter" | "gauge" | "histogram";

export interface MetricEntry {
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
}

const entry = (type: MetricType) => (help: string, ...labels: string[]): MetricEntry => ({
  ...{ type, help, labels },
});
const counter = entry("counter");
const gauge = entry("gauge");
const histogram = entry("histogram");

export const METRICS = {
  bureau_up: gauge("Whether the process answered this scrape in time."),
  bureau_scrape_seconds: gauge("How long gathering all processes took."),

  bureau_process_start_time_seconds: gauge("When it started, in seconds since 1970."),
  bureau_process_cpu_seconds_total: counter("Processor time of user and system."),
  bureau_process_resident_memory_bytes: gauge("Resident memory."),
  bureau_process_heap_bytes: gauge("Size of V8's heap."),
  bureau_process_heap_used_bytes: gauge("What of V8's heap is in use."),
  bureau_process_external_memory_bytes: gauge("Memory of objects outside V8's heap."),
  bureau_process_event_loop_delay_seconds: gauge("How late a timer came during this scrape."),

  bureau_launcher_cells: gauge("Cells by phase.", "phase"),
  bureau_launcher_starts_total: counter("Cells asked for, by what came of it.", "result"),
  bureau_launcher_start_seconds: histogram("From the request to a cell that runs."),
  bureau_launcher_exits_total: counter("Ends of programs in cells, by cause.", "cause"),
  bureau_launcher_proxy_restarts_total: counter("Proxies that ended and were started anew."),

  bureau_daemon_sync_ok: gauge("Whether the last sync with the homeserver went well."),
  bureau_daemon_sync_last_success_time_seconds: gauge(
    "When a sync last went well, in seconds since 1970.",
  ),
  bureau_daemon_sync_errors_total: counter("Syncs that failed."),
  bureau_daemon_launcher_connected: gauge("Whether the launcher is there."),
  bureau_daemon_reconcile_seconds: histogram("One pass over one principal, its action included."),
  bureau_daemon_reconcile_errors_total: counter("Passes that failed."),
  bureau_daemon_principals: gauge("Principals by what is wanted of them.", "desired"),
  bureau_daemon_principals_by_phase: gauge("Principals by what they are.", "phase"),
  bureau_daemon_principals_unhealthy: gauge("Principals whose health check fails."),
  bureau_daemon_asks_waiting: gauge("Questions that wait for a person.", "kind"),
  bureau_daemon_observers: gauge("Connections that watch a terminal."),

  bureau_agent_healthy: gauge("Whether its health check passes."),
  bureau_egress_allowed_total: counter("Connections that its gate let out."),
  bureau_egress_refused_total: counter("Connections that its gate refused."),
  bureau_egress_sent_bytes_total: counter("Bytes towards upstreams through its gate."),
  bureau_egress_received_bytes_total: counter("Bytes from upstreams through its gate."),
  bureau_egress_tunnels: gauge("Tunnels that stand."),
  bureau_egress_restarts_total: counter("Times that the gates' thread was started anew."),

  bureau_proxy_requests_total: counter(
    "Requests by interface, service and class of status.",
    ...["via", "service", "status"],
  ),
  bureau_proxy_sent_bytes_total: counter("Bytes towards upstreams.", "via", "service", "status"),
  bureau_proxy_received_bytes_total: counter("Bytes from upstreams.", "via", "service", "status"),
  bureau_proxy_request_seconds: histogram("From a request's first byte to its answer's last."),
  bureau_proxy_active_requests: gauge("Requests that are open."),
  bureau_proxy_upstream_errors_total: counter("Requests that an upstream failed."),
  bureau_proxy_refused_total: counter("Requests refused with 403 or 429."),
  bureau_proxy_denials_total: counter("The same by reason.", "reason"),
  bureau_proxy_misplaced_placeholders_total: counter(
    "Placeholders in requests to other hosts than theirs.",
  ),
  bureau_proxy_draining: gauge("Whether it takes no new requests."),
  bureau_proxy_log_lines_dropped_total: counter("Lines of its log that found no room."),
  bureau_proxy_credentials_time_seconds: gauge(
    "When it was given the credentials that it has, in seconds since 1970.",
  ),
  bureau_proxy_credential_expiry_time_seconds: gauge(
    "When a credential stops working, in seconds since 1970.",
    "credential",
  ),

  bureau_relay_watchers: gauge("Connections that watch."),
  bureau_relay_output_bytes_total: counter("Bytes of the terminal that were shown."),
  bureau_relay_dropped_bytes_total: counter("Bytes that slow watchers got as a fresh screen."),

  bureau_web_requests_total: counter("Requests by class of status.", "status"),

  bureau_agent_service_sessions_active: gauge("Sessions that agents have open."),
  bureau_agent_service_database_bytes: gauge("Size of its database."),
  bureau_agent_service_requests_total: counter("Requests by class of status.", "status"),

  bureau_worker_host_workers: gauge("Workers by what they do.", "state"),

  bureau_homeserver_start_time_seconds: gauge("When it started, in seconds since 1970."),
  bureau_homeserver_requests_total: counter(
    "Requests by route and status.",
    ...["method", "route", "status"],
  ),
  bureau_homeserver_rate_limited_total: counter("Requests refused with 429."),
  bureau_homeserver_sync_waiting: gauge("Long polls that wait now."),
  bureau_homeserver_syncs_total: counter("Syncs by whether there was something to tell.", "answer"),
  bureau_homeserver_commits_total: counter("Transactions that reached the disk."),
  bureau_homeserver_writes_total: counter("Writes that those transactions carried."),
  bureau_homeserver_failed_commits_total: counter("Transactions that the disk refused."),
  bureau_homeserver_database_bytes: gauge("Size of the files.", "file"),
  bureau_homeserver_rows: gauge("Rows of a table.", "table"),
} satisfies Record<string, MetricEntry>;

export type MetricName = keyof typeof METRICS;

export function entryOf(name: string): MetricEntry | undefined {
  return Object.hasOwn(METRICS, name) ? METRICS[name as MetricName] : undefined;
}
