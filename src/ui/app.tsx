import { useApp, useWindowSize } from 'ink'
import { type ReactNode, useEffect, useReducer } from 'react'
import { Lines } from './components/lines.tsx'
import { useKeys } from './components/use-keys.ts'
import { createModel } from './state/model.ts'
import { type Action, update } from './state/update.ts'
import { renderFrame } from './view/frame.ts'

export interface AppProps {
  /** Starts the feed; the returned function stops it. */
  readonly connect: (emit: (action: Action) => void) => () => void
  readonly color: boolean
}

/** The one stateful component: feed and keys go into `update`, the model comes out as lines. */
export function App({ connect, color }: AppProps): ReactNode {
  const [model, dispatch] = useReducer(update, undefined, createModel)
  const { columns, rows } = useWindowSize()
  const { exit } = useApp()
  useEffect(() => connect(dispatch), [connect])
  useKeys(dispatch)
  useEffect(() => {
    if (model.quitting) exit()
  }, [model.quitting, exit])
  // One row stays free: a frame as high as the terminal scrolls it.
  return <Lines lines={renderFrame(model, { columns, rows: rows - 1 })} color={color} />
}
