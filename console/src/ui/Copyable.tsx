// A text that is meant to be copied: an id, a key, a command.

import { Button } from 'antd';
import { useEffect, useState } from 'react';
import { useTexts } from '../i18n/language';
import { partTexts } from './texts';

const SHOWN_MS = 2_000;

interface Props {
  readonly text: string;
  readonly label?: string;
  readonly isBlock?: boolean;
}

export function Copyable({ text, label, isBlock = false }: Props) {
  const t = useTexts(partTexts);
  const [isCopied, setIsCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => {
      setIsCopied(false);
    }, SHOWN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [isCopied]);
  return (
    <div className={isBlock ? 'copyable copyable-block' : 'copyable'}>
      {isBlock ? (
        <pre tabIndex={0} aria-label={label}>
          {text}
        </pre>
      ) : (
        <code>{text}</code>
      )}
      <Button
        size="small"
        aria-label={label ? `${t.copy}: ${label}` : undefined}
        onClick={() => {
          void copy(text).then(setIsCopied);
        }}
      >
        {isCopied ? t.copied : t.copy}
      </Button>
    </div>
  );
}

/** On plain http browsers withhold the clipboard; the old command still works there. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    (document.querySelector('[role="dialog"]') ?? document.body).append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    return isCopied;
  }
}
