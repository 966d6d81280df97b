// What can be done with one row.

import { MoreOutlined } from '@ant-design/icons';
import { Button, Dropdown } from 'antd';
import { useTexts } from '../i18n/language';
import { partTexts } from './texts';

export interface RowAction {
  readonly key: string;
  readonly label: string;
  readonly isDanger?: boolean;
  readonly isDisabled?: boolean;
  readonly onPick: () => void;
}

export function RowMenu({
  actions,
  name,
}: {
  readonly actions: readonly RowAction[];
  readonly name: string;
}) {
  const t = useTexts(partTexts);
  if (actions.length === 0) return null;
  const items = actions.map((one) => ({
    key: one.key,
    label: one.label,
    danger: one.isDanger ?? false,
    disabled: one.isDisabled ?? false,
    onClick: one.onPick,
  }));
  return (
    <Dropdown menu={{ items }} trigger={['click']} placement="bottomRight">
      <Button type="text" icon={<MoreOutlined />} aria-label={`${t.actions}: ${name}`} />
    </Dropdown>
  );
}
