import { stripVTControlCharacters } from 'node:util'
import { cleanup, render } from 'ink-testing-library'
import { afterEach, describe, expect, it } from 'vitest'
import { App } from '../../src/ui/app.tsx'
import type { Action } from '../../src/ui/state/update.ts'
import { until } from '../setup/until.ts'
import { handlerSample, instanceSample, snapshotAt, times } from './samples.ts'

afterEach(cleanup)

const snapshot = (second: number): Action => ({
  type: 'snapshot',
  snapshot: snapshotAt(second, {
    instances: [
      instanceSample({
        handlers: ['icons.usage', 'icons.health'].map((handler) =>
          handlerSample({ handler, handled: second * 50, endToEnd: times(...Array(second).fill(7)) }),
        ),
      }),
    ],
  }),
})

function open({ color = false }: { readonly color?: boolean } = {}) {
  const feed: { emit?: (action: Action) => void; stopped: boolean } = { stopped: false }
  const shell = { visits: 0 }
  const connect = (emit: (action: Action) => void) => {
    feed.emit = emit
    return () => {
      feed.stopped = true
    }
  }
  const toShell = async () => {
    shell.visits += 1
  }
  const { lastFrame, stdin } = render(<App connect={connect} toShell={toShell} color={color} />)
  const frame = () => stripVTControlCharacters(lastFrame() ?? '')
  return {
    feed,
    shell,
    lastFrame,
    frame,
    type: (text: string) => stdin.write(text),
    shows: (pattern: RegExp | string) =>
      until(() => (typeof pattern === 'string' ? frame().includes(pattern) : pattern.test(frame())), {
        what: `${pattern} on the screen`,
      }),
  }
}

/** A screen with two handlers, ready for keys. */
async function opened(options?: { readonly color?: boolean }) {
  const app = open(options)
  await until(() => app.feed.emit, { what: 'the feed' })
  app.feed.emit?.(snapshot(0))
  app.feed.emit?.(snapshot(1))
  await app.shows('icons.usage')
  return app
}

describe('App', () => {
  it('draws what the feed says', async () => {
    const app = open()
    await app.shows('connecting')
    app.feed.emit?.(snapshot(0))
    app.feed.emit?.(snapshot(1))
    await app.shows(/icons\.usage +50 +7\.0/)
    app.feed.emit?.({ type: 'trouble', message: 'cannot reach the store' })
    await app.shows('✖ what is shown is old: cannot reach the store')
  })

  it('lets keys change what is shown', async () => {
    const app = await opened()
    app.type('?')
    await app.shows('Keys')
    app.type('\u001b')
    await app.shows(/▸ ● icons\.health/)
    app.type('j')
    await app.shows(/▸ ● icons\.usage/)
    app.type('\r')
    await app.shows('How long run times are')
    app.type('\t')
    await app.shows('▌ Backlog')
    app.type('\u001b[Z')
    await app.shows('▌ Handlers')
  })

  it('understands keys that arrive in one chunk', async () => {
    const app = await opened()
    app.type('/usage\r')
    await app.shows('filter usage')
    expect(app.frame()).not.toContain('icons.health')
    expect(app.frame()).toContain('Handlers 1')
  })

  it('scrolls help to its end and no further', async () => {
    const app = await opened()
    app.type('?')
    await app.shows('Keys')
    app.type('G')
    await app.shows('never averaged')
    app.type('k'.repeat(40))
    await app.shows('Keys')
  })

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
    ['Ctrl-C in the middle of a filter', '/use\u0003'],
    ['keys of one chunk', 'ssq'],
  ])('ends its feed on %s', async (_name, keys) => {
    const app = await opened()
    app.type(keys)
    await until(() => app.feed.stopped, { what: 'the end' })
  })

  it('gives the terminal to the shell on Ctrl-Z, and comes back', async () => {
    const app = await opened()
    app.type('\u001a')
    await until(() => app.shell.visits === 1, { what: 'the shell' })
    app.type('?')
    await app.shows('Keys')
  })

  it('uses colours only when it may', async () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what this is about
    const colour = /\u001b\[3[0-9]m/
    expect((await opened({ color: true })).lastFrame()).toMatch(colour)
    expect((await opened()).lastFrame()).not.toMatch(colour)
  })
})
