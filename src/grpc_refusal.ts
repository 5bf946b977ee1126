/**
 * What clients that speak gRPC are told: that nobody here does.
 *
 * @module
 */

const UNIMPLEMENTED = "12";
const MESSAGE = "There is no gRPC here: send OTLP over HTTP to the same port, " +
  "in most SDKs with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";

/** Whether the client speaks gRPC. */
export function speaksGrpc(request: Request): boolean {
  return /^application\/grpc\b/i.test(request.headers.get("content-type") ?? "");
}

/**
 * An answer in gRPC, all of it in the headers ("Trailers-Only"): of any other, a client tells its
 * user the HTTP status alone.
 */
export function refuseGrpc(): Response {
  return new Response(null, {
    headers: {
      "content-type": "application/grpc",
      "grpc-status": UNIMPLEMENTED,
      "grpc-message": MESSAGE,
    },
  });
}
