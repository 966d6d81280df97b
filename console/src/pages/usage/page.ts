import { BarChartOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'usage',
  title: { en: 'Usage', 'zh-CN': '用量', 'zh-TW': '用量' },
  icon: BarChartOutlined,
  group: 'watch',
  order: 20,
  need: 'read',
  load: () => import('./Usage'),
});
