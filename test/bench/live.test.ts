import { describe, expect, test } from 'vitest'
import { createLiveView } from '../../src/bench/live.ts'
import { createWorkload } from '../../src/bench/plan.ts'
import type { BenchProgress } from '../../src/bench/run.ts'
import { createShared } from '../../src/bench/shared.ts'
import { createTracker } from '../../src/bench/tracker.ts'
import { planOf } from './fake/plan.ts'

function createScene(isTTY: boolean, columns?: number) {
  const written: string[] = []
  const workload = createWorkload(planOf())
  const shared = createShared(workload.total)
  const tracker = createTracker(workload, shared, ['effect'])
  const terminal = { isTTY, ...(columns === undefined ? {} : { columns }), write: (text: string) => written.push(text) }
  const view = createLiveView(terminal)
  const show = (phase: BenchProgress['phase'], nowUs: number) =>
    view.update({ phase, nowUs, workload, shared, tracker })
  return { view, written, show, shared, tracker }
}

describe('the live view', () => {
  test('writes nothing off a terminal', () => {
    const { view, written, show } = createScene(false)
    show('load', 1_000)
    view.end()
    expect(written).toEqual([])
  })

  test('draws over itself, shows rates since the last picture, and leaves nothing', () => {
    const { view, written, show, shared, tracker } = createScene(true)
    show('load', 0)
    for (let k = 0; k < 200; k++) tracker.done(0, k, 1_000)
    shared.set('sent', 250)
    show('load', 100_000)
    view.end()
    expect(written[1]?.startsWith('\u001b[6A\u001b[0J')).toBe(true)
    expect(written[1]).toContain('sent 2500/s  handled 2000/s  open 50')
    expect(written[2]).toBe('\u001b[6A\u001b[0J')
  })

  test.each([20, 0])('keeps within %d columns, or 80 where the terminal does not say', (columns) => {
    const { written, show } = createScene(true, columns)
    show('load', 1_000)
    const lines = (written[0] ?? '').split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(columns || 80)
    expect(lines[0]?.length).toBeGreaterThan(10)
  })
})
