import { once } from 'node:events'
import { type BridgeRole, bridgeRoles, createBridge } from '../bridge.ts'
import { parseNamedUrl } from '../config/connections.ts'
import { handlingOf } from '../config/handling.ts'
import { parseHttpAddress } from '../config/http.ts'
import { variableOf } from '../config/keys.ts'
import { formatDuration } from '../core/duration.ts'
import type { HttpOptions } from '../core/http-options.ts'
import { redactUrl } from '../core/mask.ts'
import type { ServiceDefinition } from '../handle/define-service.ts'
import { createLog, type Log } from '../output/log.ts'
import { services as reference } from '../services/registry.ts'
import { settlesWithin } from '../store/close-within.ts'
import { choice, defineCommand, text, value, values } from './command.ts'
import { connectionsOf } from './line/connections.ts'
import { releaseAfterStart } from './line/memory.ts'
import { duration, list, storeOptions } from './line/options.ts'
import { causeOf, openOwnStore } from './line/own-store.ts'
import { privacyOf } from './line/privacy.ts'
import { loadOwnServices } from './line/services.ts'
import type { Runtime } from './runtime.ts'

export default defineCommand({
  name: 'up',
  section: 'run',
  summary: 'run the bridge in the foreground: capture, relay, sinks, sources, handlers, HTTP',
  description: [
    'On the configured store, else on an embedded PostgreSQL in .evt/ of the project, which it starts (as root in',
    '/var/lib/evt/ when only root may enter the project). SIGTERM or Ctrl-C drains within --grace and ends with 0; a second',
    'one ends at once. Several may run: one leads, handlers share lanes. While its store is away it waits for it; when an',
    'embedded one ends by itself, so does this, with 3. Sinks take the log out, sources bring foreign traffic in; `sinks` and',
    '`sources` of evt.config.* say more about them than the flags can (patterns, layout, dialect). Beside --only relay or',
    '--only handlers, --http serves what tells of that process (/metrics, /stats, /readyz) and no events. --services chooses',
    'among the `services` of evt.config.*, and those that evt brings:',
    `${Object.keys(reference).join(', ')}. Without any, nothing is handled.`,
  ].join('\n'),
  examples: [
    { line: 'evt up', says: 'everything, with the configured services', endless: true },
    {
      line: 'evt up --only handlers --services mail',
      says: 'one of the configured services, beside a bridge that runs elsewhere',
      endless: true,
    },
    { line: 'evt up --http 8080', says: 'and HTTP for this machine: POST and GET /events', endless: true },
    {
      line: 'evt up --sink memory://shop/events --consume memory',
      says: 'carry the log to a broker, and let handlers read it there',
      endless: true,
    },
  ],
  args: {},
  options: {
    only: value({ value: 'role', says: 'relay, handlers or http', parse: choice(bridgeRoles) }),
    services: value({
      value: 'names',
      says: 'which of the configured services to run, separated by commas',
      parse: list,
      config: 'services',
      shownDefault: 'all',
    }),
    grace: value({
      value: 'time',
      says: 'how long handlers may finish when stopped',
      parse: duration,
      config: 'graceMs',
      shownDefault: '10s',
    }),
    logLevel: value({
      value: 'level',
      says: 'debug, info, warn, error or silent',
      parse: text,
      config: 'logLevel',
      shownDefault: 'info',
    }),
    sink: values({
      value: '[name=]url',
      says: 'carry the log there too; may be repeated',
      parse: parseNamedUrl,
    }),
    source: values({
      value: '[name=]url',
      says: 'store what comes from there; may be repeated',
      parse: parseNamedUrl,
    }),
    consume: value({
      value: 'sink',
      says: 'handlers read this sink',
      parse: text,
      config: 'consume',
      shownDefault: 'the log',
    }),
    http: value({
      value: '[host:]port',
      says: 'serve HTTP there: publish, follow, look',
      parse: parseHttpAddress,
      config: 'http',
      shownDefault: 'not served',
    }),
    ...storeOptions,
  },
  async run({ options }, runtime) {
    const grace = formatDuration(runtime.config.get('graceMs').value)
    // Also while it starts.
    void endOf(runtime.signal).then(() => runtime.output.notice(`stopping: handlers have ${grace} to finish`))
    const services = await loadOwnServices(runtime)
    const connections = await connectionsOf(options, runtime)
    const store = await openOwnStore(runtime)
    try {
      const { config, signal, output } = runtime
      const http = httpOf(options, runtime)
      const roles = rolesOf(options.only, runtime).filter((role) => role !== 'http' || http)
      const bridge = createBridge({
        store: store.url,
        services,
        roles,
        grace,
        log: await logOf(runtime, store.gone),
        retention: config.get('retention').value,
        alerts: config.get('alerts').value,
        monitoringInterval: formatDuration(config.get('monitoringIntervalMs').value),
        privacy: privacyOf(runtime),
        drafts: config.get('drafts').value,
        sagaTimeout: formatDuration(config.get('sagaTimeoutMs').value),
        ...handlingOf(config),
        tracing: config.get('tracing').value,
        http,
        ...connections.settings,
      })
      const ended = AbortSignal.any([signal, ...(store.gone ? [store.gone] : [])])
      // Also in the middle of a start that gets no answer.
      const stopped = async () => {
        // Without its server nothing can be drained.
        if (store.gone?.aborted) await settlesWithin(bridge.stop(), leavingMs)
        else await bridge.stop()
      }
      const ending = endOf(ended).then(stopped)
      ending.catch(() => {})
      try {
        ended.throwIfAborted()
        await bridge.start()
        const handlers = roles.includes('handlers') ? handlersText(services, config.get('sagas').value) : 'no handlers'
        const data = store.dataDirectory ? `; its data is in ${store.dataDirectory}` : ''
        output.notice(
          `bridge ${bridge.instance} is up on ${redactUrl(store.url)}: ${roles.join(' and ')}, ${handlers}${data}`,
        )
        if (store.embedded) output.notice('its URL, with the password: evt config show store --reveal')
        if (roles.includes('relay')) for (const line of connections.lines) output.notice(line)
        if (roles.includes('handlers') && services.length === 0)
          output.warn('no service is configured, so nothing is handled: name services in evt.config.ts')
        const sagas = config.get('sagas')
        if (!sagas.value) output.warn(`sagas do not run: they are off (${sagas.origin})`)
        if (bridge.httpUrl) output.notice(`HTTP: ${bridge.httpUrl}; GET /openapi.json says what there is`)
        releaseAfterStart()
        await endOf(ended)
        await ending
      } catch (error) {
        throw await causeOf(error, store)
      } finally {
        await stopped()
      }
      store.gone?.throwIfAborted()
      return 'done'
    } finally {
      await store.stop()
    }
  },
})

/** As `evt status` counts them, which knows no kinds. */
function handlersText(services: readonly ServiceDefinition[], runsSagas: boolean): string {
  const plain = services.flatMap(({ handlers }) => handlers).length
  const sagas = runsSagas ? services.flatMap((service) => service.sagas ?? []).length : 0
  const projections = services.flatMap((service) => service.projections ?? []).length
  const kinds = [
    ...(sagas > 0 ? [`${sagas} of sagas`] : []),
    ...(projections > 0 ? [`${projections} of projections`] : []),
  ]
  const all = plain + sagas + projections
  return `${all} ${all === 1 ? 'handler' : 'handlers'}${kinds.length > 0 ? ` (${kinds.join(', ')})` : ''}`
}

/** What is told of a bridge whose server is gone. */
const leavingMs = 1_000

const endOf = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await once(signal, 'abort')
}

/** Whose embedded server has ended says that, and not what follows from it. */
async function logOf({ config, terminal, output, now }: Runtime, gone: AbortSignal | undefined): Promise<Log> {
  const log = await createLog({
    level: config.get('logLevel').value,
    stderr: terminal.stderr,
    paint: output.paintNotice,
    now,
  })
  if (!gone) return log
  const until =
    (write: Log['info']): Log['info'] =>
    (message, fields) =>
      gone.aborted ? undefined : write(message, fields)
  return { debug: until(log.debug), info: until(log.info), warn: until(log.warn), error: until(log.error) }
}

/** Who asks for HTTP alone gets it also where nothing says which port. */
function httpOf({ only }: { readonly only: BridgeRole | undefined }, { config }: Runtime): HttpOptions | undefined {
  const { value, origin } = config.get('http')
  if (only === 'http') return value ?? {}
  // A file speaks to all processes of a machine, and only one of them can have its port.
  return only === undefined || ['--http', variableOf('http')].includes(origin) ? value : undefined
}

/** `processing: false` (EVENT_PROCESSING_ENABLED) is the kill switch: capture and relay go on, handlers wait. */
function rolesOf(only: BridgeRole | undefined, { config, output }: Runtime): readonly BridgeRole[] {
  const roles = only ? [only] : bridgeRoles
  const { value: processing, origin } = config.get('processing')
  if (processing) return roles
  output.warn(`handlers do not run: processing is off (${origin})`)
  return roles.filter((role) => role !== 'handlers')
}
