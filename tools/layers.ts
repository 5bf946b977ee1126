/**
 * The import layers of `src/`, held by `deno lint`.
 *
 * A layer is a row of parts, a part is a list of files. A file may import files of lower layers and
 * files that stand before it in its own part; nothing else of this project. So no import points up,
 * no part knows its neighbours, and there are no cycles. A file that is missing here is an error:
 * say where it belongs.
 *
 * @module
 */

import { pathToFileURL } from "node:url";

/** Layer 0 first. `mod.ts` stands beside `src/`. */
export const LAYERS: readonly (readonly (readonly string[])[])[] = [
  [
    ["record.ts"],
    ["reason.ts"],
    ["option_error.ts"],
    ["time_argument.ts"],
    ["duration.ts"],
    ["buffer_pool.ts"],
    ["otlp_error.ts", "protobuf_wire.ts", "protobuf_reader.ts", "protobuf_writer.ts"],
    ["retry.ts"],
    ["breaker.ts"],
    ["assets.ts"],
    ["postgres/terms.ts", "postgres/longest.ts", "postgres/signature.ts"],
    [
      "journal_files.ts",
    ],
  ],
  [
    ["otlp_fields.ts", "otlp_protobuf.ts", "otlp_json.ts", "otlp.ts", "otlp_split.ts"],
    [
      "journal.ts",
      "journal/options.ts",
      "journal/tell.ts",
      "journal/waiters.ts",
      "journal/segment.ts",
      "journal/damage.ts",
      "journal/cursor.ts",
      "journal/tally.ts",
      "journal/resend_window.ts",
      "journal/keys.ts",
      "journal/recovery.ts",
      "journal/space.ts",
      "journal/room.ts",
      "journal/recent.ts",
      "journal/reader.ts",
      "journal/writer.ts",
      "journal/appender.ts",
      "journal/upkeep.ts",
      "disk_journal.ts",
      "memory_journal.ts",
      "sink.ts",
      "dead_letter_file.ts",
      "dead_letters.ts",
    ],
    ["filter.ts"],
    [
      "postgres/database.ts",
      "postgres/columns.ts",
      "postgres/values.ts",
      "postgres/copy_format.ts",
      "postgres/session.ts",
      "postgres/transaction_settings.ts",
      "postgres/callback_session.ts",
      "postgres/client.ts",
      "postgres/pg_commit.ts",
      "postgres/pg_copy.ts",
      "postgres/pg.ts",
      "postgres/folder_lock.ts",
      "postgres/pglite_call.ts",
      "postgres/pglite_instance.ts",
      "postgres/pglite_worker.ts",
      "postgres/pglite.ts",
      "postgres/connect.ts",
      "postgres/reader.ts",
    ],
  ],
  [
    [
      "postgres/migrate.ts",
      "postgres/partition_width.ts",
      "postgres/fresh_terms.ts",
      "postgres/signing.ts",
      "postgres/partitions.ts",
      "postgres/ranges.ts",
      "postgres/instant.ts",
      "postgres/row_buffer.ts",
      "postgres/cursor.ts",
      "postgres/json_text.ts",
      "postgres/byte_map.ts",
      "postgres/dimension_rows.ts",
      "postgres/granules.ts",
      "postgres/attribute_split.ts",
      "postgres/attribute_shape.ts",
      "postgres/attribute_places.ts",
      "postgres/attribute_sets.ts",
      "postgres/dimensions.ts",
      "postgres/batch.ts",
      "postgres/surroundings.ts",
      "postgres/transcode_span.ts",
      "postgres/transcode_log.ts",
      "postgres/point_parts.ts",
      "postgres/transcode_point.ts",
      "postgres/transcode_metric.ts",
      "postgres/transcode.ts",
      "postgres/prepared_rows.ts",
      "postgres/sink.ts",
      "postgres/streams.ts",
      "postgres/database_sink.ts",
      "postgres/store.ts",
    ],
    [
      "postgres/json_value.ts",
      "postgres/attributes_read.ts",
      "postgres/stored.ts",
      "postgres/received.ts",
      "postgres/jsonb_text.ts",
      "filter_sql.ts",
      "conditions.ts",
      "query/query_error.ts",
      "query/range.ts",
      "query/reading.ts",
      "query/cursor.ts",
      "query/filters.ts",
      "query/limits.ts",
      "query/span_search.ts",
      "query/needs.ts",
      "query/resolved_needs.ts",
      "query/scan_key.ts",
      "query/candidates_read.ts",
      "query/candidates.ts",
      "query/units.ts",
      "query/own_values.ts",
      "query/sealed.ts",
      "query/granule_rows.ts",
      "query/scan.ts",
      "query/histogram.ts",
      "query/exponential_histogram.ts",
      "query/increase.ts",
      "query/metric_series.ts",
      "query/metric_tally.ts",
      "query/metric_numbers.ts",
      "query/metric_measurements.ts",
      "query/metric_function.ts",
      "query/windows.ts",
      "query/metric_windows.ts",
      "query/metric.ts",
      "query/metric_buckets.ts",
      "query/metric_list.ts",
      "query/exemplars.ts",
      "query/trace_summaries.ts",
      "query/traces.ts",
      "query/span_tree.ts",
      "query/trace_spans.ts",
      "query/trace_tree.ts",
      "query/steps.ts",
      "query/logs.ts",
      "query/decimal.ts",
      "query/log_predicate.ts",
      "query/log_tail.ts",
      "query/services.ts",
      "query/attribute_keys.ts",
      "query/requests.ts",
      "query/service_graph.ts",
      "query/error_groups.ts",
      "query/similar.ts",
      "query/compare.ts",
      "query/partitions.ts",
      "query.ts",
      "history_pages.ts",
      "history.ts",
    ],
    [
      "ledger_note.ts",
      "ledger.ts",
      "delivery_options.ts",
      "delivery_state.ts",
      "delivery_progress.ts",
      "delivery_attempts.ts",
      "delivery_call.ts",
      "delivery_rounds.ts",
      "delivery.ts",
    ],
    [
      "record_error.ts",
      "record_fields.ts",
      "span_times.ts",
      "trace_data.ts",
      "log_data.ts",
      "metric_data.ts",
    ],
    ["forward_address.ts", "forward_request.ts", "forward.ts"],
  ],
  [[
    "refusals.ts",
    "adapter_events.ts",
    "adapter_options.ts",
    "intake.ts",
    "log_follower.ts",
    "log_tail.ts",
    "followed_logs.ts",
    "record_buffer.ts",
    "adapter_stats.ts",
    "letter_box.ts",
    "destinations.ts",
    "adapter_parts.ts",
    "adapter_health.ts",
    "adapter.ts",
  ], ["replay.ts"]],
  [[
    "byte_budget.ts",
    "request_error.ts",
    "zstd_frames.ts",
    "decompress.ts",
    "request_body.ts",
    "page_session.ts",
    "request_guard.ts",
    "request_headers.ts",
    "grpc_refusal.ts",
    "route.ts",
    "admin.ts",
    "admin_json.ts",
    "replay_stream.ts",
    "admin_routes.ts",
    "api_answers.ts",
    "api_trace.ts",
    "api_queries.ts",
    "api_parameters.ts",
    "api_problems.ts",
    "api_tail.ts",
    "openapi.ts",
    "api.ts",
    "page.ts",
    "page_assets.ts",
    "page_login.ts",
    "handler_options.ts",
    "server.ts",
  ], [
    "stats_json.ts",
    "prometheus.ts",
  ], [
    "export_delegate.ts",
    "sdk_span_encoder.ts",
    "storage_exporters.ts",
    "telemetry_options.ts",
    "storage_leg.ts",
    "telemetry_legs.ts",
    "global_telemetry.ts",
    "setup_telemetry.ts",
    "exporters.ts",
  ]],
  [
    [
      "usage_error.ts",
      "time_text.ts",
      "text_width.ts",
      "collector_flags.ts",
      "collector_forwards.ts",
      "query_flags.ts",
      "query_help.ts",
      "collector_command.ts",
      "collector_help.ts",
      "collector_args.ts",
      "log.ts",
      "in_flight.ts",
      "sql_query.ts",
      "sql_table.ts",
      "stats_table.ts",
      "progress_bar.ts",
      "ask_collector.ts",
      "remote_admin.ts",
      "output.ts",
      "log_line.ts",
      "waterfall.ts",
      "query_tables.ts",
      "query_command.ts",
      "follow_command.ts",
      "dead_letter_command.ts",
      "replay_command.ts",
      "replay_stored.ts",
      "collector_place.ts",
      "subcommands.ts",
      "collector.ts",
    ],
    ["../mod.ts"],
  ],
];

/** The files that may say `Deno`; the rest is web-standard TypeScript and `node:` modules. */
const MAY_USE_DENO: ReadonlySet<string> = new Set([
  "collector.ts",
  "postgres/folder_lock.ts",
]);

interface Place {
  readonly layer: number;
  readonly part: readonly string[];
  readonly index: number;
}

const PLACES: ReadonlyMap<string, Place> = new Map(
  LAYERS.flatMap((parts, layer) =>
    parts.flatMap((part) => part.map((file, index) => [file, { layer, part, index }] as const))
  ),
);

const SRC = new URL("../src/", import.meta.url).href;

/** The name of a file in the table: its path from `src/`; undefined for files outside the package. */
function nameOf(url: string): string | undefined {
  if (url === new URL("../mod.ts", import.meta.url).href) return "../mod.ts";
  return url.startsWith(SRC) ? url.slice(SRC.length) : undefined;
}

/** Why `file` may not import `specifier`, or undefined when it may. */
function refusal(file: string, place: Place, specifier: string): string | undefined {
  if (specifier.startsWith("@oneiric/")) return `${file} imports its own package: use a path`;
  if (!/^\.{0,2}\/|^file:/.test(specifier)) return undefined;
  const target = nameOf(new URL(specifier, new URL(file, SRC)).href);
  if (target === undefined) return `${file} imports ${specifier}, which is not part of the package`;
  const to = PLACES.get(target);
  if (to === undefined) return `${file} imports ${target}, which has no place in tools/layers.ts`;
  if (to.layer < place.layer) return undefined;
  if (to.layer > place.layer) {
    return `${file} (layer ${place.layer}) imports ${target} (layer ${to.layer}): imports point down`;
  }
  if (to.part !== place.part) {
    return `${file} imports ${target}, its neighbour in layer ${place.layer}: imports point down`;
  }
  if (to.index < place.index) return undefined;
  return `${file} imports ${target}, which does not stand before it in its part of tools/layers.ts`;
}

/** The text of a literal type, as in `import("./record.ts").Span`. */
function literalOf(type: Deno.lint.TypeNode): unknown {
  return type.type === "TSLiteralType" && type.literal.type === "Literal"
    ? type.literal.value
    : undefined;
}

/** The rules `oneiric/layers` and `oneiric/deno`. */
const plugin: Deno.lint.Plugin = {
  name: "oneiric",
  rules: {
    layers: {
      create(context) {
        const file = nameOf(pathToFileURL(context.filename).href);
        if (file === undefined) return {};
        const place = PLACES.get(file);
        if (place === undefined) {
          return {
            Program: (node) =>
              context.report({ node, message: `${file} has no place in tools/layers.ts` }),
          };
        }
        const check = (node: Deno.lint.Node, specifier: unknown) => {
          const message = typeof specifier === "string"
            ? refusal(file, place, specifier)
            : `${file} imports a computed path: the layers cannot be checked`;
          if (message !== undefined) context.report({ node, message });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source.value),
          ExportAllDeclaration: (node) => check(node, node.source.value),
          ExportNamedDeclaration: (node) => {
            if (node.source) check(node, node.source.value);
          },
          ImportExpression: (node) =>
            check(node, node.source.type === "Literal" ? node.source.value : undefined),
          TSImportType: (node) => check(node, literalOf(node.argument)),
        };
      },
    },
    deno: {
      create(context) {
        const file = nameOf(pathToFileURL(context.filename).href);
        if (file === undefined || MAY_USE_DENO.has(file)) return {};
        return {
          Identifier: (node) => {
            if (node.name !== "Deno") return;
            context.report({ node, message: `${file} uses Deno: it has to run anywhere` });
          },
        };
      },
    },
  },
};

export default plugin;
