import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { extractIcons, IconMarkupError } from '../../../src/services/icons/markup.ts'

describe('extractIcons', () => {
  it.each([
    ['', {}],
    ['no icons: here', {}],
    ['10:30:00 is a time', {}],
    [':star:', { star: 1 }],
    [':star::star:', { star: 2 }],
    [':arrow-left: <icon name="arrow-left"> <icon name="x"/> <icon name="x" />', { 'arrow-left': 2, x: 2 }],
    [':Star: :-x: :a_b:', {}],
    ['<icon name="Odd Name">', {}],
  ])('%j uses %j', (content, uses) => {
    expect(Object.fromEntries(extractIcons(content))).toEqual(uses)
  })

  it.each([
    ['<icon name="', 1],
    [':star: <icon name="home', 8],
  ])('%j is open at character %i', (content, position) => {
    expect(() => extractIcons(content)).toThrow(new IconMarkupError(position))
  })

  it('counts every icon in any text around it', () => {
    const noise = fc.string().map((text) => text.replace(/[:<]/g, ' '))
    const name = fc.constantFrom('star', 'home', 'arrow-left')
    fc.assert(
      fc.property(fc.array(fc.tuple(noise, name, fc.boolean())), (parts) => {
        const text = parts.map(([before, icon, tag]) => before + (tag ? `<icon name="${icon}">` : `:${icon}:`)).join('')
        const total = [...extractIcons(text).values()].reduce((sum, uses) => sum + uses, 0)
        expect(total).toBe(parts.length)
      }),
    )
  })
})
