import { AuditOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'audit',
  title: { en: 'Audit log', 'zh-CN': '审计日志', 'zh-TW': '稽核日誌' },
  icon: AuditOutlined,
  group: 'upkeep',
  order: 30,
  need: 'read',
  load: () => import('./Audit'),
});
