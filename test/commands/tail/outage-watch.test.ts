import { describe, expect, it } from 'vitest'
import { createOutages, watchServer } from '../../../src/commands/tail/outage-watch.ts'
import { EvtError } from '../../../src/core/errors.ts'
import { until } from '../../setup/until.ts'

function watched(ask: () => Promise<unknown>) {
  const told: string[] = []
  const outages = createOutages({ onLost: ({ message }) => told.push(message), onBack: () => told.push('back') })
  const stopping = new AbortController()
  const watch = { name: 'redis://h', ask, lastMs: () => Number.NEGATIVE_INFINITY, everyMs: 1, deadlineMs: 20 }
  const done = watchServer(outages, { ...watch, signal: stopping.signal })
  return {
    told,
    async stop() {
      stopping.abort()
      await done
    },
  }
}

describe('watchServer', () => {
  it('tells once that a server went away, and once that it is back', async () => {
    let asked = 0
    const { told, stop } = watched(async () => {
      asked++
      if (asked > 3 && asked < 8) throw new EvtError('connect', 'cannot connect to redis://h: refused')
    })
    await until(() => asked > 12)
    await stop()
    expect(told).toEqual(['cannot connect to redis://h: refused', 'back'])
  })

  it('takes no answer for an absence', async () => {
    const { told, stop } = watched(() => new Promise(() => {}))
    await until(() => told.length > 0)
    await stop()
    expect(told).toEqual(['cannot reach redis://h: it does not answer'])
  })

  it('takes a refusal for an answer', async () => {
    let asked = 0
    const { told, stop } = watched(async () => {
      asked++
      throw new EvtError('usage', 'cannot read x: no permission')
    })
    await until(() => asked > 5)
    await stop()
    expect(told).toEqual([])
  })
})
