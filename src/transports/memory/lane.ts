import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { drainMs } from '../drain.ts'
import { afterDeath, deliveriesOf, readyOf } from '../suspicion.ts'
import type { Lane, Received } from '../transport.ts'
import { createWindow } from '../window.ts'
import type { Member, Shard } from './group.ts'
import type { Stored, Topic } from './topic.ts'

export interface MemoryLane extends Lane {
  readonly member: Member
  /** There may be something new. */
  wake(): void
  /** Moves past what is not for this lane. */
  skim(): void
  /** Hands out nothing more and releases itself when nothing is unsettled. */
  drain(): void
  /** Loses the lane as if its process had been killed: what it had handed out becomes suspect. */
  die(): void
}

export interface MemoryLaneInit {
  readonly topic: Topic
  readonly shard: Shard
  /** Lanes of the group. */
  readonly lanes: number
  readonly member: Member
  onReleased(): void
}

export function createMemoryLane({ topic, shard, lanes, member, onReleased }: MemoryLaneInit): MemoryLane {
  const lost = new AbortController()
  const bell = createDoorbell()
  const window = createWindow()
  const epoch = shard.epoch
  let cursor = shard.position
  let draining: NodeJS.Timeout | undefined

  const isMine = (stored: Stored) => stored.slot % lanes === shard.index && member.wanted(stored.type)

  function handOut(stored: Stored): Received {
    window.add(stored.position)
    if (stored.position > shard.startedTo) shard.startedTo = stored.position
    return {
      ...stored.message,
      topic: topic.name,
      at: String(stored.position),
      timeMs: stored.timeMs,
      deliveries: deliveriesOf(shard.suspicion, stored.position),
    }
  }

  function mayGoOut(stored: Stored): boolean {
    const { unsettled } = window
    const first = unsettled === 0 ? undefined : window.prefix(0n) + 1n
    const one = { queue: [stored], positionOf: ({ position }: Stored) => position, unsettled, first, room: 1 }
    return readyOf(shard.suspicion, { ...one, together: member.suspects }) > 0
  }

  function collect(max: number): readonly Received[] {
    const batch: Received[] = []
    const room = draining === undefined ? Math.min(max, member.prefetch - window.unsettled) : 0
    while (batch.length < room && cursor < topic.head) {
      const stored = topic.at(cursor + 1n)
      if (stored !== undefined && isMine(stored)) {
        if (!mayGoOut(stored)) break
        batch.push(handOut(stored))
      }
      cursor++
    }
    shard.position = window.prefix(cursor)
    return batch
  }

  function skim(): void {
    for (let next = topic.at(cursor + 1n); next !== undefined && !isMine(next); next = topic.at(cursor + 1n)) cursor++
    shard.position = window.prefix(cursor)
  }

  function end(): void {
    clearTimeout(draining)
    shard.owner = undefined
    lost.abort(new EvtError('fenced', `lane ${topic.name}/${shard.index} is no longer ours`))
  }

  async function release(): Promise<void> {
    if (lost.signal.aborted) return
    shard.position = window.prefix(cursor)
    end()
    onReleased()
  }

  return {
    id: `${topic.name}/${shard.index}`,
    epoch,
    lost: lost.signal,
    member,
    release,
    wake: bell.ring,
    skim,
    async take(max, signal) {
      while (!lost.signal.aborted && !signal.aborted) {
        const batch = collect(max)
        if (batch.length > 0) return batch
        await bell.wait(signal, lost.signal)
      }
      return []
    },
    async settle(done) {
      if (lost.signal.aborted) return
      for (const message of done) window.settle(BigInt(message.at))
      shard.position = window.prefix(cursor)
      if (draining !== undefined && window.unsettled === 0) await release()
      bell.ring()
    },
    drain() {
      if (window.unsettled === 0) void release()
      else draining ??= setTimeout(release, drainMs).unref()
    },
    die() {
      shard.suspicion = afterDeath(shard.suspicion, shard.position, shard.startedTo)
      end()
      onReleased()
    },
  }
}
