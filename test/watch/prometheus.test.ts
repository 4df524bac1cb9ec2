import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createBridge, defineHandler } from '../../src/index.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { findPrometheus, type PrivatePrometheus, startPrivatePrometheus } from '../setup/private-prometheus.ts'
import { until } from '../setup/until.ts'

const ops = join(import.meta.dirname, '../../ops')
const textOf = (path: string) => readFileSync(join(ops, path), 'utf8')

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert?: string; readonly expr: string }[] }[]
}
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
}
const rules = (parse(textOf('prometheus/rules.yml')) as Rules).groups.flatMap((group) => group.rules)
const panels = (JSON.parse(textOf('grafana/evt.json')) as Dashboard).panels

/** As Grafana would fill it in. */
const filled = (expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$handler', '.*')
/** An alert that does not fire has no series: the comparison as a number has one where there is data to compare. */
const compared = (expr: string) => expr.replace(/ (>|<) ([\d.]+)$/, ' $1 bool $2')

const queries = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [`panel ${title}`, filled(expr)] as const)),
  ...rules.map(({ alert, expr }) => [alert ? `alert ${alert}` : `rule ${expr.slice(0, 40)}`, compared(expr)] as const),
]

const program = findPrometheus()

describe.skipIf(program === undefined)('a real Prometheus that scrapes a real bridge', () => {
  let database: TestDatabase
  let bridge: ReturnType<typeof createBridge>
  let prometheus: PrivatePrometheus
  const stopping = new AbortController()
  beforeAll(async () => {
    database = await createTestDatabase()
    const welcome = defineHandler({
      name: 'mail.welcome',
      on: ['user.created'],
      retry: { attempts: 1 },
      handle(event) {
        if ((event.data as { poison?: boolean }).poison) throw new TypeError('no such user')
      },
    })
    bridge = createBridge({
      store: database.url,
      handlers: [welcome],
      sinks: [{ name: 'shop', url: 'memory://prometheus-sink/events' }],
      sources: [{ name: 'till', url: 'memory://prometheus-source/events' }],
      http: { port: 0 },
      monitoringInterval: '200ms',
      alerts: [{ name: 'waits', when: 'dead.open > 0', for: '1h' }],
    })
    await bridge.start()
    await database.store.query(`insert into evt.sagas (saga, key, status, phase, version, plan, stage, steps, state, correlation_id, started_by)
      select 'sign-up', status, status, 'running', 1, '[]', 0, '{}', '{}', 'c', 'test' from unnest(array['running', 'stuck']) status`)
    void publishUntil(database, stopping.signal)
    const { host } = new URL(bridge.httpUrl ?? '')
    const config = textOf('prometheus/scrape.yml')
      .replace('127.0.0.1:8080', host)
      .replaceAll('interval: 15s', 'interval: 1s')
    expect(config).toContain(host)
    prometheus = await startPrivatePrometheus(program ?? '', { config, rules: textOf('prometheus/rules.yml') })
    await until(async () => (await prometheus.query('evt:handled:rate5m > 0')).length > 0, { withinMs: 60_000 })
    await until(async () => (await prometheus.query('evt_alert_state')).length > 0, { withinMs: 60_000 })
  }, 150_000)
  afterAll(async () => {
    stopping.abort()
    await prometheus?.stop()
    await bridge.stop()
    await database[Symbol.asyncDispose]()
  }, 60_000)

  it.each(queries)('answers the query of %s with data', async (_, expr) => {
    // Rates need two scrapes of each series.
    await until(async () => (await prometheus.query(expr)).length > 0, { withinMs: 20_000, what: expr })
  })

  it('takes every rule, and finds no fault with what it scrapes', async () => {
    const { groups } = (await prometheus.get('rules')) as {
      groups: { rules: { health: string; lastError?: string }[] }[]
    }
    const health = groups.flatMap((group) => group.rules).map((rule) => `${rule.health}${rule.lastError ?? ''}`)
    expect(health).toEqual(rules.map(() => 'ok'))
    const { activeTargets } = (await prometheus.get('targets')) as {
      activeTargets: { health: string; lastError: string }[]
    }
    expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }])
  })
})

async function publishUntil({ store }: TestDatabase, signal: AbortSignal): Promise<void> {
  for (let nth = 0; !signal.aborted; nth++) {
    const data = nth % 10 === 0 ? '{"poison": true}' : '{}'
    await store.query(`select evt.publish('user.created', $1, $2, source => 'accounts')`, [data, `user/${nth}`])
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
