import type { PrivateBroker } from './private-process.ts'
import { type PrivateRedis, type PrivateRedisOptions, startPrivateRedis } from './private-redis.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { until } from './until.ts'

/** A primary with a replica, and an address of both at which the primary is. */
export interface PrivateRedisPair extends PrivateBroker {
  readonly primary: PrivateRedis
  readonly replica: PrivateRedis
  /** What evt connects to; its connections can be cut. */
  readonly address: TcpProxy
  /** Nothing reaches the replica any more, and nobody notices. */
  holdBack(): void
  /** The replica has all that the primary has. */
  caughtUp(): Promise<void>
  /** Kills the primary; the replica becomes it as far as it came, at the same address, and gets a replica of its own. */
  failOver(): Promise<void>
}

export async function startPrivateRedisPair(options: PrivateRedisOptions = {}): Promise<PrivateRedisPair> {
  const started: { stop(): Promise<void> }[] = []
  const stop = async () => {
    await Promise.all(started.splice(0).map((one) => one.stop()))
  }
  const start = async (extra: PrivateRedisOptions = {}) => {
    const redis = await startPrivateRedis({ ...options, ...extra })
    started.push(redis)
    return redis
  }
  const lead = async (port: number) => {
    const proxy = await startTcpProxy(port)
    started.push({ stop: proxy.close })
    return proxy
  }
  const follow = async (leader: PrivateRedis) => {
    const line = await lead(leader.port)
    const replica = await start({ replicaOf: line.port })
    await until(async () => String(await replica.command('info', 'replication')).includes('master_link_status:up'), {
      withinMs: 20_000,
      what: 'a replica that follows',
    })
    return { line, replica }
  }
  try {
    let primary = await start()
    const address = await lead(primary.port)
    let { line, replica } = await follow(primary)
    return {
      url: address.through(primary.url),
      port: address.port,
      address,
      get pid() {
        return primary.pid
      },
      get directory() {
        return primary.directory
      },
      get primary() {
        return primary
      },
      get replica() {
        return replica
      },
      kill: (name) => primary.kill(name),
      restart: () => primary.restart(),
      holdBack: () => line.freeze(),
      async caughtUp() {
        await until(async () => (await offsetOf(primary)) === (await offsetOf(replica)), {
          withinMs: 20_000,
          what: 'a replica that has everything',
        })
      },
      async failOver() {
        await primary.kill('SIGKILL')
        await replica.command('replicaof', 'no', 'one')
        await line.close()
        address.retarget(replica.port)
        primary = replica
        ;({ line, replica } = await follow(primary))
      },
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function offsetOf(redis: PrivateRedis): Promise<string | undefined> {
  const info = String(await redis.command('info', 'replication'))
  return /role:slave/.test(info)
    ? /slave_repl_offset:(\d+)/.exec(info)?.[1]
    : /master_repl_offset:(\d+)/.exec(info)?.[1]
}
