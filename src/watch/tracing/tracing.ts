import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { toError } from '../../core/errors.ts'
import type { Handled, Handling, Tracing, TracingOptions } from './current.ts'

/** More links are no help, and a batch may be big. */
const mostLinks = 128

/** Spans by OpenTelemetry's global provider. */
export function createTracing({ conventions = '1.30' }: TracingOptions): Tracing {
  const tracer = trace.getTracer('evt')
  const names = attributeNames[conventions]

  function handlingContext({ events }: Handling): Context {
    const [first, second] = events
    // Of several, none is the parent: they are links.
    return second === undefined ? contextOf(first?.traceparent) : ROOT_CONTEXT
  }

  /** Between commit and log nothing of the event's runs that could tell: who handles it does, afterwards. */
  function relayed({ events: [event], recordedMs, sequencedMs }: Handling, parent: Context): void {
    if (event === undefined || recordedMs === undefined || sequencedMs === undefined) return
    const attributes = { 'messaging.system': 'evt', 'messaging.message.id': event.id }
    const startTime = new Date(recordedMs)
    tracer
      .startSpan(`relay ${event.type}`, { kind: SpanKind.INTERNAL, startTime, attributes }, parent)
      .end(new Date(Math.max(recordedMs, sequencedMs)))
  }

  return {
    published(event) {
      const attributes = { ...names.publish, ...eventAttributes(event) }
      const parent = event.traceparent === undefined ? context.active() : contextOf(event.traceparent)
      const span = tracer.startSpan(`publish ${event.type}`, { kind: SpanKind.PRODUCER, attributes }, parent)
      span.end()
      return traceparentOf(span) ?? event.traceparent
    },
    async handled(handling, work, failed) {
      const { handler, service, topic, attempt, events } = handling
      const parent = handlingContext(handling)
      if (attempt === 1 && events.length === 1) relayed(handling, parent)
      const [event] = events
      const span = tracer.startSpan(
        `handle ${handler}`,
        {
          kind: SpanKind.CONSUMER,
          attributes: {
            ...names.handle(handler),
            'messaging.destination.name': topic,
            'evt.handler': handler,
            'evt.service': service,
            'evt.attempt': attempt,
            ...(event && events.length === 1
              ? eventAttributes(event)
              : { 'messaging.batch.message_count': events.length }),
          },
          links: linksOf(events.map(({ traceparent }) => traceparent)),
        },
        parent,
      )
      const own = traceparentOf(span) ?? event?.traceparent ?? ''
      return within(span, parent, () => work(own), failed)
    },
    carried({ sink, traceparents }, work) {
      const attributes = {
        ...names.carry,
        'messaging.destination.name': sink,
        'messaging.batch.message_count': traceparents.length,
      }
      const span = tracer.startSpan(
        `carry ${sink}`,
        { kind: SpanKind.PRODUCER, attributes, links: linksOf(traceparents) },
        ROOT_CONTEXT,
      )
      return within(span, ROOT_CONTEXT, work, () => undefined)
    },
  }
}

async function within<T>(
  span: Span,
  parent: Context,
  work: () => Promise<T>,
  failed: (result: T) => unknown,
): Promise<T> {
  try {
    const result = await context.with(trace.setSpan(parent, span), work)
    const thrown = failed(result)
    if (thrown !== undefined) fail(span, thrown)
    return result
  } catch (thrown) {
    fail(span, thrown)
    throw thrown
  } finally {
    span.end()
  }
}

/** The class alone: messages of errors may hold what events hold. */
function fail(span: Span, thrown: unknown): void {
  const { name } = toError(thrown)
  span.setAttribute('error.type', name)
  span.setStatus({ code: SpanStatusCode.ERROR, message: name })
}

const eventAttributes = ({ id, type, subject, correlationId }: Handled): Attributes => ({
  'messaging.system': 'evt',
  'messaging.message.id': id,
  'evt.type': type,
  ...(subject === undefined ? {} : { 'evt.subject': subject }),
  ...(correlationId === undefined ? {} : { 'messaging.message.conversation_id': correlationId }),
})

interface AttributeNames {
  readonly publish: Attributes
  readonly carry: Attributes
  handle(group: string): Attributes
}

const attributeNames: Readonly<Record<NonNullable<TracingOptions['conventions']>, AttributeNames>> = {
  '1.24': {
    publish: { 'messaging.operation': 'create' },
    carry: { 'messaging.operation': 'publish', 'messaging.system': 'evt' },
    handle: (group) => ({ 'messaging.operation': 'deliver', 'messaging.consumer.id': group }),
  },
  '1.30': {
    publish: { 'messaging.operation.name': 'publish', 'messaging.operation.type': 'create' },
    carry: { 'messaging.operation.name': 'carry', 'messaging.operation.type': 'send', 'messaging.system': 'evt' },
    handle: (group) => ({
      'messaging.operation.name': 'handle',
      'messaging.operation.type': 'process',
      'messaging.consumer.group.name': group,
    }),
  },
}

const pattern = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/

/** W3C trace context; undefined for what is none: whoever published may have written anything. */
function spanContextOf(traceparent: string | undefined) {
  const [, traceId = '', spanId = '', flags = '0'] = pattern.exec(traceparent ?? '') ?? []
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true }
  return isSpanContextValid(found) ? found : undefined
}

function contextOf(traceparent: string | undefined): Context {
  const parent = spanContextOf(traceparent)
  return parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT
}

function linksOf(traceparents: readonly (string | undefined)[]): Link[] {
  const found = new Set(traceparents.slice(0, mostLinks))
  return [...found].flatMap((traceparent) => {
    const linked = spanContextOf(traceparent)
    return linked ? [{ context: linked }] : []
  })
}

function traceparentOf(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext()
  if (!isSpanContextValid(span.spanContext())) return undefined
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}
