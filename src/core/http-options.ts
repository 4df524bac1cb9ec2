/** HTTP of a bridge, as a person writes it. Times are durations: `30s`. */
export interface HttpOptions {
  /** Default 8080; 0 takes any that is free. */
  readonly port?: number | undefined
  /** Default 127.0.0.1. On any other address than a loopback one every request needs a token. */
  readonly host?: string | undefined
  /** Paths of PEM files; read again when they change. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
  /** Tokens also on loopback; behind a proxy on the same machine, say true. */
  readonly requireToken?: boolean | undefined
  /** Bytes of one request's body; default 4 MiB. */
  readonly bodyLimit?: number | undefined
  /** Requests of one token, or of one address without one; default 2,000 in 1s. */
  readonly rate?: { readonly requests: number; readonly window: string } | undefined
  /** Until all headers are there; default 10s. */
  readonly headersTimeout?: string | undefined
  /** Until the whole request is there; default 30s. */
  readonly requestTimeout?: string | undefined
  /** A connection on which nothing moves; default 60s. */
  readonly idleTimeout?: string | undefined
  /** Between two signs of life of a stream; default 15s. */
  readonly heartbeat?: string | undefined
  /** Default 1,000. */
  readonly maxConnections?: number | undefined
  /** Streams at once; default 100. */
  readonly maxStreams?: number | undefined
}
