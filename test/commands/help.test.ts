import { describe, expect, it } from 'vitest'
import { renderCommandHelp, renderRootHelp } from '../../src/commands/line/help.ts'
import { globalOptions } from '../../src/commands/line/options.ts'
import { type CommandName, registry } from '../../src/commands/registry.ts'
import { createPaint } from '../../src/output/paint.ts'

const names = Object.keys(registry) as CommandName[]
const golden = (name: string) => `../../fixtures/golden/help/${name.replaceAll(' ', '-')}.txt`
const plain = { paint: createPaint(false) }

describe('help', () => {
  it('lists every command in its section', async () => {
    await expect(renderRootHelp('0.0.0', plain)).toMatchFileSnapshot(golden('evt'))
  })

  it.each(names)('of %s shows usage, flags with their variables, and examples', async (name) => {
    const { default: command } = await registry[name].load()
    const text = renderCommandHelp(command, command.options, globalOptions, plain)
    await expect(text).toMatchFileSnapshot(golden(name))
    expect(command.examples.length, 'at least one example').toBeGreaterThan(0)
    for (const example of command.examples) expect(`${example.line} `).toMatch(/^evt /)
  })

  it.each(names)('of %s keeps to the width of a terminal, and says the same there', async (name) => {
    const { default: command } = await registry[name].load()
    const help = (columns?: number) => renderCommandHelp(command, command.options, globalOptions, { ...plain, columns })
    const words = (text: string) => text.split(/\s+/)
    for (const columns of [60, 80, 120]) {
      const text = help(columns)
      expect(words(text)).toEqual(words(help()))
      const prose = text.split('\nExamples\n')[0]?.split('\n') ?? []
      expect(prose.filter((line) => line.length > columns)).toEqual([])
    }
    expect(words(renderRootHelp('0.0.0', { ...plain, columns: 60 }))).toEqual(words(renderRootHelp('0.0.0', plain)))
  })

  it.each(names)('of %s has no short flag twice and no long flag that every command has', async (name) => {
    const { default: command } = await registry[name].load()
    const shorts = Object.values({ ...command.options, ...globalOptions }).flatMap(({ short }) =>
      short ? [short] : [],
    )
    expect(shorts.filter((short, i) => shorts.indexOf(short) !== i)).toEqual([])
    expect(Object.keys(command.options).filter((key) => key in globalOptions)).toEqual([])
  })
})
