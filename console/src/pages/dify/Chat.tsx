// The frame that is listened to: one of ours that says what it is told, or a Dify of the operator's.

import { Button, Input, Segmented, Space } from 'antd';
import { type RefObject, useId, useState } from 'react';
import { useTexts } from '../../i18n/language';
import { Panel } from '../../ui/Panel';
import simulatorUrl from './simulator.js?url';
import { difyTexts } from './texts';

const SIMULATED = `<!doctype html><html lang="en"><title>Chat</title><script src="${simulatorUrl}"></script>`;

interface Props {
  readonly frame: RefObject<HTMLIFrameElement | null>;
  /** The address of a real chat; empty for the simulated one. */
  readonly address: string;
  readonly onAddress: (address: string) => void;
}

export function Chat({ frame, address, onAddress }: Props) {
  const t = useTexts(difyTexts);
  const [isReal, setIsReal] = useState(false);
  const [typed, setTyped] = useState('');
  const id = useId();
  const choose = (chosen: string): void => {
    setIsReal(chosen === 'real');
    if (chosen !== 'real') onAddress('');
  };
  return (
    <Panel
      title={t.chat}
      extra={
        <Segmented
          aria-label={t.chat}
          value={isReal ? 'real' : 'simulated'}
          options={[
            { value: 'simulated', label: t.simulated },
            { value: 'real', label: t.real },
          ]}
          onChange={choose}
        />
      }
    >
      {isReal ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (originOf(typed) !== null) onAddress(typed);
          }}
        >
          <label htmlFor={id}>{t.address}</label>
          <Space.Compact block>
            <Input
              id={id}
              type="url"
              placeholder="https://dify.example.com/chatbot/…"
              value={typed}
              status={typed !== '' && originOf(typed) === null ? 'error' : ''}
              onChange={(event) => {
                setTyped(event.target.value);
              }}
            />
            <Button htmlType="submit">{t.show}</Button>
          </Space.Compact>
          <p className="muted">{t.addressHint}</p>
        </form>
      ) : (
        <p className="muted">{t.simulatedHint}</p>
      )}
      <iframe
        key={address}
        ref={frame}
        title={t.frame}
        {...(address ? { src: address } : { srcDoc: SIMULATED })}
        style={{ width: '100%', height: address ? 480 : 0, border: 0, display: 'block' }}
      />
    </Panel>
  );
}

/** The web origin of an address; null if it has none. */
export function originOf(address: string): string | null {
  try {
    const url = new URL(address);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.origin : null;
  } catch {
    return null;
  }
}
