import { truth } from './read-value.ts'

export interface TracingValues {
  /** Spans; undefined: when the program has registered a provider. */
  readonly tracing: boolean | { readonly conventions?: '1.24' | '1.30' | undefined } | undefined
}

export const tracingKeys = {
  tracing: {
    name: 'tracing',
    says: 'OpenTelemetry spans; else when there is a provider',
    default: undefined,
    parse: truth,
    show: shownTracing,
  },
} as const

function shownTracing(tracing: TracingValues['tracing']): string {
  if (typeof tracing !== 'object') return String(tracing ?? '')
  return `conventions ${tracing.conventions ?? '1.30'}`
}
