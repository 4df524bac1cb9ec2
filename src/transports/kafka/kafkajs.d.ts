// The parts of kafkajs 2.2.4 below its clients: it has types for the clients only. They are used because the clients retry without
// a bound, keep timers that spin when idle, need a group to read, and pipeline nothing. See connection.ts.

declare module 'kafkajs/src/protocol/requests/index.js' {
  interface Call {
    readonly request: {
      readonly apiKey: number
      readonly apiVersion: number
      encode(): Promise<{ readonly buffer: Buffer }>
    }
    readonly response: { decode(payload: Buffer): Promise<unknown> }
  }
  interface Definition {
    readonly versions: readonly string[]
    protocol(version: { readonly version: number }): (parameters: object) => Call
  }
  const protocol: { readonly requests: Readonly<Record<string, Definition>> }
  export default protocol
}

declare module 'kafkajs/src/protocol/requests/apiKeys.js' {
  const apiKeys: Readonly<Record<string, number>>
  export default apiKeys
}

declare module 'kafkajs/src/protocol/error.js' {
  interface BrokerErrorKind extends Error {
    readonly type: string
    readonly code: number
    readonly retriable: boolean
  }
  const errors: { createErrorFromCode(code: number): BrokerErrorKind }
  export default errors
}

declare module 'kafkajs/src/broker/saslAuthenticator/index.js' {
  export default class SASLAuthenticator {
    constructor(connection: object, logger: object, versions: object, supportAuthenticationProtocol: boolean)
    authenticate(): Promise<void>
  }
}
