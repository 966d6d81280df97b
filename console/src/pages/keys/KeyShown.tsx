// A new key, shown once, with what to paste where to use it.

import { Alert, Tabs } from 'antd';
import { useTexts } from '../../i18n/language';
import { Copyable } from '../../ui/Copyable';
import { OnceDialog } from '../../ui/OnceDialog';
import type { ApiKey } from './Keys';
import { snippetsOf } from './snippets';
import { keyTexts } from './texts';

export function KeyShown({
  made,
  onClose,
}: {
  readonly made: ApiKey | null;
  readonly onClose: () => void;
}) {
  const t = useTexts(keyTexts);
  const secret = made?.secret ?? '';
  return (
    <OnceDialog title={t.made} isOpen={made !== null} doneLabel={t.gotIt} onDone={onClose}>
      <div className="stack">
        <Alert type="warning" showIcon title={t.madeHint} />
        <Copyable text={secret} label={t.key} isBlock />
        <h3>{t.tryIt}</h3>
        <Snippets secret={secret} />
      </div>
    </OnceDialog>
  );
}

export function Snippets({ secret, model }: { readonly secret: string; readonly model?: string }) {
  const items = snippetsOf(window.location.origin, secret, model).map((one) => ({
    key: one.name,
    label: one.name,
    children: <Copyable text={one.text} label={one.name} isBlock />,
  }));
  return <Tabs items={items} />;
}
