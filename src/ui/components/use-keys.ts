import { type Key as InkKey, useInput } from 'ink'
import { actionFor, type Key } from '../state/keymap.ts'
import type { Action } from '../state/update.ts'

const named: readonly [keyof InkKey, string][] = [
  ['escape', 'escape'],
  ['return', 'enter'],
  ['backspace', 'backspace'],
  ['delete', 'backspace'],
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['pageUp', 'pageup'],
  ['pageDown', 'pagedown'],
  ['home', 'home'],
  ['end', 'end'],
]

/** What Ink reports as the keys of our keymap; pasted text is one key a character. */
export function keysOf(input: string, key: InkKey): readonly Key[] {
  if (key.tab) return [{ name: key.shift ? 'shift-tab' : 'tab', ctrl: false }]
  const special = named.find(([flag]) => key[flag])
  if (special) return [{ name: special[1], ctrl: false }]
  return [...input].map((name) => ({ name, ctrl: key.ctrl }))
}

export function useKeys(typing: boolean, dispatch: (action: Action) => void): void {
  useInput((input, inkKey) => {
    for (const key of keysOf(input, inkKey)) {
      const action = actionFor(key, typing)
      if (action) dispatch(action)
    }
  })
}
