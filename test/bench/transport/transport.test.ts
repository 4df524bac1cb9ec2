import { describe, expect, it } from 'vitest'
import type { BenchResult } from '../../../src/bench/result.ts'
import { openTransport, transportSchemes } from '../../../src/transports/registry.ts'
import { onTestFinished } from '../../setup/on-test-finished.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'
import type { ServerName } from '../../setup/server-names.ts'
import { describeWithOwn, hasServer, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../../setup/until.ts'
import { evtBench } from '../evt-bench.ts'

const short = ['--rate', '300', '--warmup', '500ms', '--duration', '1500ms', '--keys', '50', '--json']
const kinds: readonly { readonly scheme: string; readonly name: string; readonly server?: ServerName }[] = [
  { scheme: 'memory', name: 'memory' },
  { scheme: 'redis', name: 'redis', server: 'redis' },
  { scheme: 'kafka', name: 'kafka', server: 'kafka' },
  { scheme: 'amqp', name: 'rabbitmq', server: 'rabbitmq' },
]

// Beside each other: most of their time is the load, and what evt waits.
describe.concurrent('a broker under evt bench', () => {
  for (const { scheme, name, server } of kinds) {
    const isMissing = (server && !hasServer(server)) || !(transportSchemes as readonly string[]).includes(scheme)
    describe.skipIf(isMissing)(`evt bench --target ${scheme}://`, () => {
      it('sends through the broker to handlers, and its books balance', async () => {
        const url = server ? await serverUrl(server) : 'memory'
        const handlers = ['--handler', 'noop', '--handler', 'sleep:1ms']
        const { ended } = evtBench(['--target', url, '--lanes', '4', ...handlers, '--gate', 'lost == 0', ...short])
        const { code, stdout, stderr } = await ended
        expect(stdout, stderr).not.toBe('')
        const { data } = JSON.parse(stdout) as { data: BenchResult }
        expect(data.ledger).toMatchObject({
          scheduled: 600,
          handled: 1_200,
          lost: 0,
          duplicates: 0,
          reordered: 0,
          balanced: true,
        })
        // A machine that is busy with other tests may make the generator late: then the run says so.
        expect([code, data.outcome]).toEqual(data.doubts.length > 0 ? [98, 'inconclusive'] : [0, 'done'])
        expect(data.target).toMatch(new RegExp(`^${name} on ${scheme}://.*no store`))
        expect(data.environment).toMatchObject({ broker: expect.any(String), lanes: '4' })
        expect(data.reproduce).toContain(`--target ${scheme}://`)
        const transport = await openTransport(server ? url : 'memory://')
        onTestFinished(() => transport.close())
        if (!server) expect(stderr).toBe('')
        else if (transport.remove) expect((await transport.inspect([`evt-bench-${data.run}`])).topics).toEqual([])
        else expect(stderr).toMatch(/topic evt-bench-[0-9a-f]+ remains on/)
      }, 90_000)
    })
  }

  describeWithOwn('redis', 'a broker that goes away while evt bench runs', () => {
    it('ends the run within seconds, with what is known and exit 3', async () => {
      const redis = await startPrivateRedis()
      onTestFinished(() => redis.stop())
      const { ended } = evtBench(['--target', redis.url, '--rate', '200', '--warmup', '0', '--duration', '60s'])
      // Probes fill a lane up to four; more of them is load.
      const loaded = async () => {
        const [stream] = (await redis.command('keys', 'evt-bench-*:0')) as string[]
        return stream !== undefined && Number(await redis.command('xlen', stream)) > 10
      }
      await until(loaded, { withinMs: 20_000 })
      await redis.kill('SIGKILL')
      const { code, stdout } = await ended
      expect(stdout).toMatch(/scheduled [\d,]+ = sent/)
      expect(code).toBe(3)
    }, 60_000)
  })
})

describe('evt bench --target', () => {
  it.each([
    [['--target', 'memory://', '--handler', 'effect'], 2, /cannot bench --handler effect over a broker alone/],
    [['--target', 'memory://x/orders'], 2, /it names orders, and a bench sends to a topic of its own/],
    [['--target', 'noop'], 2, /nothing can be consumed from it/],
    [['--target', 'http'], 2, /no transport for http/],
    [['--target', 'redis://127.0.0.1:1'], 3, /cannot connect|cannot use/],
    [['--lanes', '3'], 2, /cannot use --lanes with the store/],
  ])('refuses %j', async (args, code, says) => {
    const ran = await evtBench(args).ended
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringMatching(says)])
  })

  it('sees a handler that is slower than its load: inconclusive or late, never lost', async () => {
    const args = ['--target', 'memory', '--rate', '200', '--warmup', '0', '--duration', '1s', '--keys', '1', '--json']
    const { stdout } = await evtBench([...args, '--handler', 'sleep:20ms', '--drain-timeout', '500ms']).ended
    const { data } = JSON.parse(stdout) as { data: BenchResult }
    expect(data.ledger).toMatchObject({ scheduled: 200, lost: 0, balanced: true })
    expect(data.ledger.stillOpen).toBeGreaterThan(50)
  })
})
